// With #selftest the page examines itself and writes what it found into the document, as JSON; #selftest=400 makes it 400 pixels
// wide before. Only the tests ask for it. A page with parts of its own has functions in `window.selfchecks`, each of which
// returns a list of problems.
const examine = (wide) => {
  const problems = [];
  let checks = 0;
  const check = (holds, text) => { checks += 1; if (!holds) problems.push(text); };
  all('details').forEach((element) => { element.open = true; });
  const seen = (element) => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
  const name = (svg) => svg.getAttribute('aria-label')?.slice(0, 50) ?? 'a figure';

  // Colours as [red, green, blue, alpha], from 0 to 1.
  const colour = (text) => {
    const numbers = (text.match(/-?[\d.]+(e-?\d+)?/g) ?? []).map(Number);
    const unit = text.startsWith('color(') ? 1 : 255;
    const [r, g, b, a = 1] = numbers;
    return [r / unit, g / unit, b / unit, a];
  };
  const over = (top, bottom) => [0, 1, 2].map((i) => top[i] * top[3] + bottom[i] * (1 - top[3])).concat(1);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(colour(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, own) => (own.length > 3 && own.every(Number.isFinite) ? over(own, below) : below), [1, 1, 1, 1]);
  };
  const contrast = (a, b) => { const [low, high] = [light(a), light(b)].sort((x, y) => x - y); return (high + 0.05) / (low + 0.05); };
  let least = Infinity;
  const legible = (element, ink) => {
    const ground = behind(element instanceof SVGElement ? element.ownerSVGElement.parentElement : element);
    const ratio = contrast(over(ink, ground), ground);
    least = Math.min(least, ratio);
    check(ratio >= 4.5, `contrast ${ratio.toFixed(2)}: "${element.textContent.trim().slice(0, 40)}" in ${element.className.baseVal ?? element.className}`);
  };

  const texts = all('main *').filter((element) => !(element instanceof SVGElement) && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && seen(element));
  for (const element of texts) {
    legible(element, colour(getComputedStyle(element).color));
    const box = element.getBoundingClientRect();
    const scrolls = element.closest('.scroll, pre');
    check(scrolls || (box.right <= wide + 1 && box.left >= -1), `beyond the window: "${element.textContent.trim().slice(0, 40)}"`);
    check(element.closest('pre, select') || element.scrollWidth <= element.clientWidth + 1 || getComputedStyle(element).display === 'inline', `wider than its box: "${element.textContent.trim().slice(0, 40)}"`);
  }
  check(document.documentElement.scrollWidth <= innerWidth + 1 && document.body.scrollWidth <= wide + 1, `the page scrolls sideways: ${document.body.scrollWidth} of ${wide}`);

  for (const svg of all('svg.figure')) {
    const frame = svg.getBoundingClientRect();
    const words = all('text', svg).filter(seen);
    const boxes = words.map((word) => word.getBoundingClientRect());
    words.forEach((word, i) => {
      legible(word, colour(getComputedStyle(word).fill));
      const box = boxes[i];
      check(box.left >= frame.left - 1 && box.right <= frame.right + 1 && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1, `${name(svg)}: "${word.textContent}" leaves its picture`);
      for (let j = 0; j < i; j += 1) {
        const [wide, high] = [Math.min(box.right, boxes[j].right) - Math.max(box.left, boxes[j].left), Math.min(box.bottom, boxes[j].bottom) - Math.max(box.top, boxes[j].top)];
        check(wide < 1 || high < 2.5, `${name(svg)}: "${word.textContent}" lies on "${words[j].textContent}"`);
      }
    });
    const named = (selector) => [...new Set(all(selector, svg).map((element) => element.dataset.name).filter(Boolean))].sort().join(' | ');
    check(named('.layer') === named('.key'), `${name(svg)}: the legend has ${named('.key')} for ${named('.layer')}`);
    for (const axis of svg.querySelector('.panel') ? ['.axis-x', '.axis-y'] : []) {
      const label = svg.querySelector(axis)?.textContent ?? '';
      check(/^\S.* \(.+\)$/s.test(label), `${name(svg)}: the axis "${label}" has no unit`);
    }
  }

  for (const plot of plots) {
    const { svg } = plot;
    const drawn = () => plot.layers.flatMap((layer) => layer.lines.map((line) => pathPoints(line.path.getAttribute('d'))));
    const before = drawn();
    const near = (a, b) => a.length === b.length && a.every((line, i) => line.length === b[i].length && line.every((point, k) => Math.abs(point[1] - b[i][k][1]) < 0.06));
    for (const key of all('.key', svg)) {
      const layers = plot.layers.filter((layer) => layer.name === key.dataset.name);
      const hidden = () => layers.every((layer) => getComputedStyle(layer.element).display === 'none');
      key.dispatchEvent(new MouseEvent('click', { bubbles: true }));
      check(hidden() && key.getAttribute('aria-pressed') === 'false', `${name(svg)}: ${key.dataset.name} does not go`);
      key.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
      check(!hidden() && key.getAttribute('aria-pressed') === 'true', `${name(svg)}: ${key.dataset.name} does not come back`);
    }
    if (!plot.output) continue;
    const press = (key) => { svg.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); return plot.output.textContent; };
    svg.focus();
    check(document.activeElement === svg, `${name(svg)}: takes no focus`);
    const [first, second, last] = [press('Home'), press('ArrowRight'), press('End')];
    check(/\d/.test(first) && /\d/.test(last), `${name(svg)}: no values by keys: "${first}", "${last}"`);
    check(plot.places().length < 3 || first !== second, `${name(svg)}: the arrow key does not move`);
    check(plot.output.scrollWidth <= plot.output.clientWidth + 1, `${name(svg)}: the values are wider than their box`);
    legible(plot.output, colour(getComputedStyle(plot.output).color));
    check(press('Escape') === '' && !svg.querySelector('.cursor'), `${name(svg)}: Escape leaves the values`);
    const box = svg.getBoundingClientRect();
    svg.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true }));
    check(plot.output.textContent !== '' || plot.places().length === 1, `${name(svg)}: no values under the pointer`);
    svg.dispatchEvent(new PointerEvent('pointerleave'));
    const log = plot.svg.parentElement.querySelector('.log');
    if (log) {
      log.click();
      check(!near(before, drawn()) || !before.length, `${name(svg)}: the logarithmic axis changes nothing`);
      check(all('.tick-new', svg).length > 0, `${name(svg)}: the logarithmic axis has no ticks`);
      log.click();
      check(near(before, drawn()) && !svg.querySelector('.tick-new'), `${name(svg)}: the logarithmic axis does not go`);
    }
    const smooth = plot.svg.parentElement.querySelector('.smooth');
    if (smooth) {
      const choose = (value) => { smooth.value = value; smooth.dispatchEvent(new Event('change')); };
      choose('0.95');
      check(!near(before, drawn()), `${name(svg)}: smoothing changes nothing`);
      choose('0');
      check(near(before, drawn()), `${name(svg)}: smoothing does not go`);
    }
  }

  for (const table of all('table').filter((table) => table.querySelector('thead button'))) {
    const heads = all('thead th', table);
    const column = heads.findIndex((head) => head.classList.contains('n'));
    if (column < 0) continue;
    heads[column].querySelector('button').click();
    const numbers = [...table.tBodies[0].rows].map((row) => row.cells[column].dataset.v).filter((value) => value !== undefined).map(Number);
    check(numbers.every((value, i) => i === 0 || numbers[i - 1] <= value), `${table.caption?.textContent}: not sorted`);
    check(heads[column].getAttribute('aria-sort') === 'ascending', `${table.caption?.textContent}: does not say that it is sorted`);
  }

  const loaded = performance.getEntriesByType('resource').map((entry) => entry.name).filter((url) => !url.startsWith('data:'));
  check(loaded.length === 0, `it loaded ${loaded.join(', ')}`);
  check(all('[id]').length === new Set(all('[id]').map((element) => element.id)).size, 'two elements have one id');
  for (const link of all('a[href^="#"]')) check(document.getElementById(link.hash.slice(1)), `${link.hash} leads nowhere`);
  for (const more of window.selfchecks ?? []) { checks += 1; problems.push(...more()); }
  check(pageErrors.length === 0, `errors: ${pageErrors.join('; ')}`);
  return {
    checks, problems, figures: plots.length, contrast: Number(least.toFixed(2)), width: wide,
    dark: matchMedia('(prefers-color-scheme: dark)').matches, ground: getComputedStyle(document.body).backgroundColor,
    still: matchMedia('(prefers-reduced-motion: reduce)').matches, scrolling: getComputedStyle(document.documentElement).scrollBehavior,
  };
};

if (location.hash.startsWith('#selftest')) {
  addEventListener('load', () => {
    const wide = Number(location.hash.split('=')[1]) || innerWidth;
    if (wide < innerWidth) document.documentElement.style.width = `${wide}px`;
    let found;
    try { found = examine(wide); } catch (error) { found = { checks: 0, problems: [`${error} ${error.stack}`] }; }
    made('script', { type: 'application/json', id: 'selftest' }, document.body).textContent = JSON.stringify(found).replaceAll('<', '\\u003c');
  });
}
