'use strict';
// Logs are shown a screenful at a time, so that one of many megabytes opens at once. Text reaches the page as text nodes only.
(() => {
  const COLOURS = /\u001b\[([0-9;]*)m/g;
  const plain = (line) => line.replace(COLOURS, '');
  const MORE_ROWS = 30;

  function coloured(line, needle) {
    const row = document.createDocumentFragment();
    let colour = '', bold = false, at = 0;
    const add = (text) => {
      if (!text) return;
      const span = document.createElement('span');
      span.className = (colour + (bold ? ' bold' : '')).trim();
      let rest = text;
      const found = needle ? rest.toLowerCase().indexOf(needle) : -1;
      if (found >= 0) {
        span.append(rest.slice(0, found));
        const mark = document.createElement('mark');
        mark.textContent = rest.slice(found, found + needle.length);
        span.append(mark);
        rest = rest.slice(found + needle.length);
      }
      span.append(rest);
      row.append(span);
    };
    for (const match of line.matchAll(COLOURS)) {
      add(line.slice(at, match.index));
      at = match.index + match[0].length;
      for (const code of (match[1] || '0').split(';').map(Number)) {
        if (code === 0) { colour = ''; bold = false; }
        else if (code === 1) bold = true;
        else if (code === 22) bold = false;
        else if (code === 39) colour = '';
        else if (code >= 30 && code <= 37) colour = 'c' + (code - 30);
        else if (code >= 90 && code <= 97) colour = 'c' + (code - 90);
      }
    }
    add(line.slice(at));
    return row;
  }

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function viewer(section) {
    const lines = JSON.parse(section.querySelector('script').textContent).split('\n');
    lines.pop();
    const heading = section.querySelector('h2').textContent;
    const field = element('input', { type: 'search', 'aria-label': 'Search in ' + heading, placeholder: 'Search' });
    const before = element('button', { type: 'button' }, 'Previous');
    const after = element('button', { type: 'button' }, 'Next');
    const told = element('output', { 'aria-live': 'polite' });
    const all = element('div', { class: 'all' });
    const box = element('div', { class: 'lines', tabindex: '0', role: 'region', 'aria-label': heading }, all);
    section.append(element('div', { class: 'tools' }, field, before, after, told), box);
    const rowHeight = 1.25 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    all.style.height = lines.length * rowHeight + 'px';
    let here = -1, hits = [], needle = '', drawn = '';

    function draw() {
      const first = Math.max(0, Math.floor(box.scrollTop / rowHeight) - MORE_ROWS);
      const last = Math.min(lines.length, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + MORE_ROWS);
      const state = [first, last, here, needle].join();
      if (state === drawn) return;
      drawn = state;
      const rows = [];
      for (let n = first; n < last; n++) {
        const number = element('span', { class: 'number', 'aria-hidden': 'true' }, String(n + 1));
        const row = element('div', { class: n === here ? 'line here' : 'line' }, number, coloured(lines[n], needle));
        row.style.top = n * rowHeight + 'px';
        rows.push(row);
      }
      all.replaceChildren(...rows);
    }
    function show(line) {
      here = Math.max(0, Math.min(lines.length - 1, line));
      box.scrollTop = Math.max(0, here * rowHeight - box.clientHeight / 2);
      draw();
    }
    function search() {
      needle = field.value.toLowerCase();
      hits = [];
      if (needle) lines.forEach((line, n) => { if (plain(line).toLowerCase().includes(needle)) hits.push(n); });
      told.textContent = needle ? hits.length + (hits.length === 1 ? ' line' : ' lines') : '';
      const next = hits.find((n) => n >= here);
      if (hits.length) show(next === undefined ? hits[0] : next); else draw();
    }
    function step(way) {
      if (!hits.length) return;
      const next = way > 0 ? hits.find((n) => n > here) : hits.findLast((n) => n < here);
      show(next === undefined ? (way > 0 ? hits[0] : hits[hits.length - 1]) : next);
      told.textContent = (hits.indexOf(here) + 1) + ' of ' + hits.length + (hits.length === 1 ? ' line' : ' lines');
    }
    let wait = 0;
    field.addEventListener('input', () => { clearTimeout(wait); wait = setTimeout(search, 120); });
    field.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); step(event.shiftKey ? -1 : 1); } });
    before.addEventListener('click', () => step(-1));
    after.addEventListener('click', () => step(1));
    box.addEventListener('scroll', draw, { passive: true });
    addEventListener('resize', draw);
    addEventListener('beforeprint', draw);
    box.scrollTop = lines.length * rowHeight;
    draw();
    return show;
  }

  const shows = new Map();
  for (const section of document.querySelectorAll('section.log')) shows.set(section.id, viewer(section));
  function follow() {
    const [id, line] = location.hash.slice(1).split(':');
    const show = shows.get(id);
    if (!show || !line) return;
    document.getElementById(id).scrollIntoView();
    show(Number(line) - 1);
  }
  addEventListener('hashchange', follow);
  follow();
})();
