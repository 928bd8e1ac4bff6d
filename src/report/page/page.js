'use strict';
// Logs are shown a screenful at a time, so that one of many megabytes opens at once. Text reaches the page as text nodes only.
(() => {
  const COLOURS = /\u001b\[([0-9;]*)m/g;
  const plain = (line) => (line.includes('\u001b') ? line.replace(COLOURS, '') : line);
  const MORE_ROWS = 30;
  const PRINTED_ROWS = 60;

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // What a line's colours are after one of its sequences. A colour by number or by its parts is shown if it is one of the sixteen.
  function style(codes, now) {
    const next = { ...now };
    for (let n = 0; n < codes.length; n++) {
      const code = codes[n];
      if (code === 0) Object.assign(next, { colour: '', back: '', bold: false, line: false, turned: false });
      else if (code === 1) next.bold = true;
      else if (code === 4) next.line = true;
      else if (code === 7) next.turned = true;
      else if (code === 22) next.bold = false;
      else if (code === 24) next.line = false;
      else if (code === 27) next.turned = false;
      else if (code === 38 || code === 48) {
        const indexed = codes[n + 1] === 5, index = codes[n + 2];
        const name = indexed && index < 16 ? 'c' + (index % 8) : '';
        if (code === 38) next.colour = name;
        n += indexed ? 2 : 4;
      } else if (code === 39) next.colour = '';
      else if (code === 49) next.back = '';
      else if (code >= 30 && code <= 37) next.colour = 'c' + (code - 30);
      else if (code >= 90 && code <= 97) next.colour = 'c' + (code - 90);
      else if (code >= 40 && code <= 47) next.back = 'b' + (code - 40);
      else if (code >= 100 && code <= 107) next.back = 'b' + (code - 100);
    }
    return next;
  }

  function coloured(line, needle) {
    const row = document.createDocumentFragment();
    let now = style([0], {}), at = 0;
    const add = (text) => {
      if (!text) return;
      const span = document.createElement('span');
      span.className = [now.colour, now.back, now.bold && 'bold', now.line && 'under', now.turned && 'turned'].filter(Boolean).join(' ');
      const lower = needle ? text.toLowerCase() : '';
      let from = 0;
      for (let found = needle ? lower.indexOf(needle) : -1; found >= 0; found = lower.indexOf(needle, from)) {
        span.append(text.slice(from, found), element('mark', {}, text.slice(found, found + needle.length)));
        from = found + needle.length;
      }
      span.append(text.slice(from));
      row.append(span);
    };
    for (const match of line.matchAll(COLOURS)) {
      add(line.slice(at, match.index));
      at = match.index + match[0].length;
      now = style((match[1] || '0').split(';').map(Number), now);
    }
    add(line.slice(at));
    return row;
  }

  function viewer(section) {
    const data = section.querySelector('script');
    const lines = JSON.parse(data.textContent).split('\n');
    lines.pop();
    data.remove();
    const numbers = (text) => new Set((text || '').split(' ').filter(Boolean).map((number) => Number(number) - 1));
    const found = numbers(section.dataset.found), marks = numbers(section.dataset.marks);
    const heading = section.querySelector('h2').textContent;
    const field = element('input', { type: 'search', 'aria-label': 'Search in ' + heading, placeholder: 'Search: /', 'aria-keyshortcuts': '/' });
    const before = element('button', { type: 'button', title: 'Shift+Enter in the field' }, 'Previous');
    const after = element('button', { type: 'button', title: 'Enter in the field' }, 'Next');
    const told = element('output', { 'aria-live': 'polite' });
    const all = element('div', { class: 'all' });
    const box = element('div', { class: 'lines', tabindex: '0', role: 'region', 'aria-label': 'Lines of ' + heading }, all);
    const folded = section.querySelector('details');
    (folded || section).append(element('div', { class: 'tools' }, field, before, after, told), box);
    const rowHeight = 1.25 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    all.style.height = lines.length * rowHeight + 'px';
    let here = -1, hits = [], needle = '', drawn = '', wanted = -1;

    function row(n) {
      const kind = ['line', n === here && 'here', found.has(n) && 'found', marks.has(n) && 'seen'].filter(Boolean).join(' ');
      const number = element('span', { class: 'number', 'data-line': n + 1, 'aria-hidden': 'true' }, String(n + 1));
      return element('div', { class: kind }, number, coloured(lines[n], needle));
    }
    function draw() {
      const first = Math.max(0, Math.floor(box.scrollTop / rowHeight) - MORE_ROWS);
      const last = Math.min(lines.length, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + MORE_ROWS);
      const state = [first, last, here, needle].join();
      if (state === drawn) return;
      drawn = state;
      const rows = [];
      for (let n = first; n < last; n++) {
        const made = row(n);
        made.style.top = n * rowHeight + 'px';
        rows.push(made);
      }
      all.replaceChildren(...rows);
    }
    function scrollTo(line) {
      wanted = line;
      box.scrollTop = Math.max(0, line * rowHeight - box.clientHeight / 2);
      draw();
    }
    function show(line) {
      here = Math.max(0, Math.min(lines.length - 1, line));
      scrollTo(here);
    }
    function open() {
      if (folded) folded.open = true;
    }
    function count(at) {
      const many = hits.length + (hits.length === 1 ? ' line' : ' lines');
      told.textContent = !needle ? '' : !hits.length ? 'nothing found' : (at < 0 ? '' : at + 1 + ' of ') + many;
    }
    function search() {
      needle = field.value.toLowerCase();
      hits = [];
      if (needle) lines.forEach((line, n) => { if (plain(line).toLowerCase().includes(needle)) hits.push(n); });
      const next = hits.find((n) => n >= here);
      if (hits.length) show(next === undefined ? hits[0] : next); else draw();
      count(hits.indexOf(here));
    }
    function step(way) {
      if (field.value.toLowerCase() !== needle) { search(); return; }
      if (!hits.length) return;
      const next = way > 0 ? hits.find((n) => n > here) : hits.findLast((n) => n < here);
      show(next === undefined ? (way > 0 ? hits[0] : hits[hits.length - 1]) : next);
      count(hits.indexOf(here));
    }
    let wait = 0;
    field.addEventListener('input', () => { clearTimeout(wait); wait = setTimeout(search, 120); });
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') { event.preventDefault(); clearTimeout(wait); step(event.shiftKey ? -1 : 1); }
      if (event.key === 'Escape') { field.value = ''; clearTimeout(wait); search(); }
    });
    before.addEventListener('click', () => step(-1));
    after.addEventListener('click', () => step(1));
    all.addEventListener('click', (event) => {
      const line = event.target.dataset.line;
      if (line) location.hash = '#' + section.id + ':' + line;
    });
    box.addEventListener('scroll', draw, { passive: true });
    if (folded) folded.addEventListener('toggle', () => { if (wanted < 0) box.scrollTop = 0; else scrollTo(wanted); drawn = ''; draw(); });
    addEventListener('resize', draw);
    // On paper nothing scrolls: what is around the line that counts is printed, or the end.
    addEventListener('beforeprint', () => {
      const middle = here >= 0 ? here : found.size ? Math.min(...found) : lines.length - PRINTED_ROWS / 2;
      const first = Math.max(0, Math.min(middle - PRINTED_ROWS / 2, lines.length - PRINTED_ROWS));
      const rows = [];
      for (let n = first; n < Math.min(lines.length, first + PRINTED_ROWS); n++) rows.push(row(n));
      box.classList.add('printed');
      all.replaceChildren(...rows);
    });
    addEventListener('afterprint', () => { box.classList.remove('printed'); drawn = ''; draw(); });
    // What was found in it is what it opens at; else its end.
    if (found.size) scrollTo(Math.min(...found)); else { box.scrollTop = lines.length * rowHeight; draw(); }
    return { section, field, show: (line) => { open(); section.scrollIntoView(); show(line); box.focus({ preventScroll: true }); }, open };
  }

  // A screen is small among others, and large alone.
  for (const image of document.querySelectorAll('figure img')) {
    const button = element('button', { type: 'button', class: 'zoom', 'aria-pressed': 'false', title: 'Enlarge' });
    image.replaceWith(button);
    button.append(image);
    button.addEventListener('click', () => {
      const large = button.closest('figure').classList.toggle('large');
      button.setAttribute('aria-pressed', String(large));
    });
  }

  const viewers = new Map();
  for (const section of document.querySelectorAll('section.log')) viewers.set(section.id, viewer(section));
  function follow() {
    const [id, line] = location.hash.slice(1).split(':');
    const log = viewers.get(id);
    if (log && line) log.show(Number(line) - 1); else if (log) log.open();
  }
  addEventListener('hashchange', follow);
  addEventListener('click', (event) => {
    // A second click on the same link leads there again.
    const link = event.target.closest && event.target.closest('a');
    if (link && link.hash && link.hash === location.hash) follow();
  });
  addEventListener('keydown', (event) => {
    const typing = event.target.matches && event.target.matches('input, textarea');
    if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const logs = [...viewers.values()];
    // The log that is seen, else the first below.
    const near = logs.find((log) => log.section.contains(event.target)) || logs.find((log) => log.section.getBoundingClientRect().bottom > 0) || logs[0];
    if (!near) return;
    event.preventDefault();
    near.open();
    near.field.focus();
  });
  document.documentElement.dataset.ready = Math.round(performance.now());
  follow();
})();
