(() => {
'use strict';
const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
const root = document.documentElement;
root.classList.add('js');

/* contents: open beside the page, a disclosure above it where there is no room */
const toc = $('.toc details'), wide = matchMedia('(min-width:1100px)');
const fit = () => { toc.open = wide.matches; };
fit(); wide.onchange = fit;
toc.onclick = e => { if (e.target.matches('a') && !wide.matches) toc.open = false; };
const here = new IntersectionObserver(es => es.forEach(e => { if (e.isIntersecting) $$('.toc a').forEach(a =>
  a.hash === '#' + e.target.id ? a.setAttribute('aria-current', 'true') : a.removeAttribute('aria-current')); }),
  { rootMargin: '-10% 0px -80%' });
$$('main section').forEach(s => here.observe(s));

/* theme: what the system says until the reader says otherwise */
const theme = $('#theme'), system = matchMedia('(prefers-color-scheme:dark)');
const dark = () => (root.dataset.theme || (system.matches ? 'dark' : 'light')) === 'dark';
const name = () => { theme.textContent = dark() ? 'Light' : 'Dark'; };
theme.hidden = false; name(); system.onchange = name;
theme.onclick = () => { root.dataset.theme = dark() ? 'light' : 'dark'; name(); };

/* samples: a list on the left, one sample on the right */
const rows = $$('.list li[data-s]'), samples = $('.samples');
if (samples && rows.length) {
  const all = new Map($$('.sample').map(s => [s.id, s])), text = new Map();
  const foot = $('.side .foot'), words = $('#f-q'), kind = $('#f-cat');
  const now = () => rows.find(r => $('[aria-current]', r)), shown = () => rows.filter(r => !r.hidden);
  const pick = (row, move) => {
    if (!row) return;
    const old = now();
    if (old) { $('a', old).removeAttribute('aria-current'); all.get(old.dataset.s).classList.remove('on'); }
    $('a', row).setAttribute('aria-current', 'true');
    const sample = all.get(row.dataset.s);
    sample.open = true; sample.classList.add('on');
    if (move) row.scrollIntoView({ block: 'nearest' });
  };
  const holds = (row, q) => {
    if (!text.has(row)) text.set(row, all.get(row.dataset.s).textContent.toLowerCase());
    return text.get(row).includes(q);
  };
  const filter = () => {
    const state = $('.seg [aria-pressed=true]')?.dataset.t || '', c = kind ? kind.value : '', q = words.value.toLowerCase();
    rows.forEach(r => {
      r.hidden = !!((state && r.dataset.t !== state) || (c && !$$('.chip', all.get(r.dataset.s)).some(x => x.textContent === c))
        || (q && !holds(r, q)));
    });
    const left = shown();
    foot.textContent = left.length ? `${left.length} of ${rows.length} samples` : 'No sample matches these filters. Clear one to see more.';
    samples.hidden = !left.length;
    if (!left.includes(now())) pick(left[0]);
  };
  const linked = () => rows.find(r => '#' + r.dataset.s === location.hash);
  pick(linked() || rows[0]);
  if (linked()) all.get(linked().dataset.s).scrollIntoView();
  window.onhashchange = () => pick(linked(), true);
  $$('.seg button').forEach(b => { b.onclick = () => {
    $$('.seg button').forEach(x => x.setAttribute('aria-pressed', String(x === b))); filter(); }; });
  if (kind) kind.onchange = filter;
  words.oninput = filter;
  rows.forEach(r => { $('a', r).onclick = e => { e.preventDefault(); pick(r); history.replaceState(null, '', '#' + r.dataset.s); }; });
  $$('.sample > summary').forEach(s => { s.tabIndex = -1; s.onclick = e => e.preventDefault(); });
  const diff = $('#diff');
  if (diff) diff.onclick = () => diff.setAttribute('aria-pressed', String(!samples.classList.toggle('nodiff')));
  document.onkeydown = e => {
    if (e.target.matches('input,select,textarea') || e.ctrlKey || e.metaKey || e.altKey) return;
    const s = shown(), i = s.indexOf(now());
    if (e.key === 'j') pick(s[i + 1], true);
    if (e.key === 'k') pick(s[i - 1], true);
    if (e.key === 'd' && diff) diff.click();
  };
}

/* tables sort by a click on a head */
const figure = cell => {
  const said = cell.textContent.replace(/\u2212/g, '-').replace(/[<>,\u00a0]/g, '').trim(), number = parseFloat(said);
  return Number.isNaN(number) ? said : number;
};
$$('.sortable thead th:not(.plot)').forEach(th => {
  const b = document.createElement('button');
  b.type = 'button'; b.append(...th.childNodes); th.append(b);
  b.onclick = () => {
    const up = th.getAttribute('aria-sort') === 'descending', body = th.closest('table').tBodies[0], i = th.cellIndex;
    $$('th', th.parentNode).forEach(x => x.removeAttribute('aria-sort'));
    th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    body.append(...[...body.rows].sort((a, c) => {
      const x = figure(a.cells[i]), y = figure(c.cells[i]);
      return (typeof x === typeof y ? (x > y ? 1 : x < y ? -1 : 0) : typeof x === 'number' ? 1 : -1) * (up ? 1 : -1);
    }));
  };
});
root.dataset.ready = 'true';
})();
