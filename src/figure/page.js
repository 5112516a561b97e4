'use strict';
// What a picture alone has not: nearest values, series on and off, logarithmic axes, smoothing, sorted tables. The values come
// from the picture itself: its pixels, and the scales that each panel states. Without this script everything is there to read.
const pageErrors = [];
addEventListener('error', (event) => pageErrors.push(String(event.message)));
addEventListener('securitypolicyviolation', (event) => pageErrors.push(`blocked: ${event.blockedURI}`));

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const SVG = 'http://www.w3.org/2000/svg';
const made = (name, attributes, parent) => {
  const element = name.includes(':') ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
};

/** A scale from its words: "0 5 linear", or with logarithms "-3 0 log". */
const scaleOf = (words) => {
  const [low, high, kind] = words.split(' ');
  return { low: +low, high: +high, log: kind === 'log' };
};
const part = (scale, value) => ((scale.log ? Math.log10(value) : value) - scale.low) / (scale.high - scale.low);
const valueAt = (scale, part) => {
  const at = scale.low + part * (scale.high - scale.low);
  return scale.log ? 10 ** at : at;
};

/** A number with as many digits as the picture can tell. */
const shown = (value, resolution) => {
  if (!Number.isFinite(value)) return '–';
  const digits = Math.ceil(Math.log10(Math.abs(value) / Math.max(resolution, 1e-300)));
  const rounded = Number(value.toPrecision(Math.min(Math.max(digits, 1), 5)));
  const size = Math.abs(rounded);
  return rounded !== 0 && (size < 1e-3 || size >= 1e7) ? rounded.toExponential() : rounded.toLocaleString('en-US', { maximumFractionDigits: 8 });
};

/** The points of a line's path, in pixels. */
const pathPoints = (d) => d.slice(1).split('L').map((pair) => pair.split(' ').map(Number));

/** Exponential means with their start corrected, as in Adam. */
const smoothed = (points, keep) => {
  let [mean, weight] = [0, 0];
  return points.map(([x, y]) => {
    mean = keep * mean + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    return [x, mean / weight];
  });
};

class Plot {
  constructor(svg) {
    this.svg = svg;
    this.panel = svg.querySelector('.panel');
    this.frame = this.panel.dataset.frame.split(' ').map(Number); // left right top bottom
    this.x = scaleOf(this.panel.dataset.x);
    this.y = this.own = scaleOf(this.panel.dataset.y);
    this.keep = 0;
    const [left, right, top, bottom] = this.frame;
    const value = ([px, py]) => [valueAt(this.x, (px - left) / (right - left)), valueAt(this.own, (bottom - py) / (bottom - top))];
    this.layers = all('.layer', this.panel).map((element) => {
      const lines = all('path[class^=s]', element).map((path) => ({ path, points: pathPoints(path.getAttribute('d')).map(value) }));
      const marks = all('[class^=f]', element).filter((mark) => mark.tagName !== 'rect' && !mark.hasAttribute('fill-opacity')).map((mark) => {
        const at = mark.tagName === 'circle' ? [+mark.getAttribute('cx'), +mark.getAttribute('cy')] : mark.getAttribute('d').slice(1).split(/[ a-z]/, 2).map(Number);
        return { mark, at, point: value(at) };
      });
      return { element, name: element.dataset.name || svg.querySelector('title').textContent, lines, marks, fixed: all('rect, [fill-opacity]', element).length > 0 };
    });
    this.series = this.layers.filter((layer) => layer.name && (layer.marks.length || layer.lines.some((line) => line.points.length > 2)));
    this.cursor = -1;
    this.dress();
  }

  points(layer) {
    const lines = layer.lines.flatMap((line) => (this.keep && line.points.length > 8 ? smoothed(line.points, this.keep) : line.points));
    return lines.length ? lines : layer.marks.map((mark) => mark.point).sort((a, b) => a[0] - b[0]);
  }

  isOn(layer) { return !layer.element.classList.contains('off'); }

  pixels([x, y]) {
    const [left, right, top, bottom] = this.frame;
    return [left + part(this.x, x) * (right - left), bottom - part(this.y, y) * (bottom - top)];
  }

  /** Wraps the picture, and adds what works on it. */
  dress() {
    const { svg } = this;
    const name = svg.querySelector('title').textContent;
    const box = made('div', { class: 'plot' });
    svg.replaceWith(box);
    box.append(svg);
    svg.setAttribute('role', 'group');
    svg.setAttribute('aria-label', `${name}. ${svg.querySelector('desc').textContent}`);
    svg.querySelector('title').remove(); // else it follows the pointer
    for (const key of all('.key', svg)) this.dressKey(key);
    if (!this.series.length) return;
    const tools = made('div', { class: 'tools' }, box);
    const values = this.series.flatMap((layer) => this.points(layer).map((point) => point[1]));
    // A call with a value each would have too many arguments.
    const least = values.reduce((a, b) => Math.min(a, b), Infinity);
    const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!this.own.log && least > 0 && !this.layers.some((layer) => layer.fixed) && most / least > 3) {
      const log = made('button', { type: 'button', 'aria-pressed': 'false', class: 'log' }, tools);
      log.textContent = 'log axis';
      log.onclick = () => {
        const on = log.getAttribute('aria-pressed') !== 'true';
        log.setAttribute('aria-pressed', on);
        const [a, b] = [Math.log10(least), Math.log10(most)];
        this.y = on ? { low: a - 0.05 * (b - a), high: b + 0.05 * (b - a), log: true } : this.own;
        this.redraw();
      };
    }
    if (this.series.some((layer) => layer.lines.some((line) => line.points.length > 60))) {
      const label = made('label', {}, tools);
      label.append('smooth ');
      const select = made('select', { class: 'smooth' }, label);
      for (const [text, value] of [['not', 0], ['a little', 0.8], ['more', 0.95], ['a lot', 0.99]]) made('option', { value }, select).textContent = text;
      select.onchange = () => { this.keep = +select.value; this.redraw(); };
    }
    this.output = made('output', { 'aria-live': 'polite' }, tools);
    svg.tabIndex = 0;
    svg.addEventListener('pointermove', (event) => this.point(event));
    svg.addEventListener('pointerleave', () => this.show(-1));
    svg.addEventListener('keydown', (event) => this.press(event));
    svg.addEventListener('blur', () => this.show(-1));
  }

  dressKey(key) {
    const layers = this.layers.filter((layer) => layer.name === key.dataset.name);
    for (const [name, value] of Object.entries({ role: 'button', tabindex: 0, 'aria-pressed': 'true', 'aria-label': key.dataset.name })) key.setAttribute(name, value);
    const flip = () => {
      const on = key.getAttribute('aria-pressed') !== 'true';
      key.setAttribute('aria-pressed', on);
      for (const layer of layers) layer.element.classList.toggle('off', !on);
      this.show(-1);
    };
    key.addEventListener('click', flip);
    key.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      event.stopPropagation();
      flip();
    });
  }

  /** The distinct x of the series that are on. */
  places() {
    const xs = this.series.filter((layer) => this.isOn(layer)).flatMap((layer) => this.points(layer).map((point) => point[0]));
    return [...new Set(xs)].sort((a, b) => a - b);
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const px = ((event.clientX - box.left) / box.width) * this.svg.viewBox.baseVal.width;
    const [left, right] = this.frame;
    if (px < left - 8 || px > right + 8) { this.show(-1); return; }
    const places = this.places();
    const at = (x) => Math.abs(this.pixels([x, this.own.high])[0] - px);
    let best = -1;
    places.forEach((x, i) => { if (best < 0 || at(x) < at(places[best])) best = i; });
    this.show(best, places);
  }

  press(event) {
    if (event.target !== this.svg) return;
    const places = this.places();
    const last = places.length - 1;
    const step = event.shiftKey ? Math.max(1, Math.round(places.length / 20)) : 1;
    const to = { ArrowRight: this.cursor + step, ArrowLeft: this.cursor < 0 ? last : this.cursor - step, Home: 0, End: last, Escape: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.show(event.key === 'Escape' ? -1 : Math.min(Math.max(to, 0), last), places);
  }

  /** Shows the values nearest to a place, in the picture and in words. */
  show(index, places = []) {
    this.cursor = index;
    all('.cursor, .dot', this.svg).forEach((element) => element.remove());
    if (!this.output) return;
    if (index < 0 || !places.length) { this.output.textContent = ''; return; }
    const [left, right, top, bottom] = this.frame;
    const x = places[index];
    const px = this.pixels([x, 1])[0];
    made('svg:path', { class: 'cursor', d: `M${px} ${top}V${bottom}` }, this.panel);
    const [xs, ys] = [(this.x.high - this.x.low) / (right - left) / 10, (this.own.high - this.own.low) / (bottom - top) / 100];
    const words = [];
    for (const layer of this.series.filter((layer) => this.isOn(layer))) {
      let near = null;
      for (const point of this.points(layer)) if (!near || Math.abs(point[0] - x) < Math.abs(near[0] - x)) near = point;
      if (!near || Math.abs(this.pixels(near)[0] - px) > 14) continue;
      const [cx, cy] = this.pixels(near);
      const line = layer.lines[0] ? layer.lines[0].path : layer.marks[0].mark;
      made('svg:circle', { class: `dot f${line.getAttribute('class')[1]}`, cx, cy, r: 4 }, this.panel);
      words.push(`${layer.name} ${shown(near[1], this.own.log ? near[1] * ys * 2.3 : ys)}`);
    }
    const name = this.svg.querySelector('.axis-x')?.textContent ?? 'at';
    this.output.textContent = `${name} ${shown(x, this.x.log ? x * xs * 2.3 : xs)}: ${words.join('; ')}`;
  }

  /** Draws lines and marks by the scale and the smoothing of now. */
  redraw() {
    for (const layer of this.layers) {
      for (const { path, points } of layer.lines) {
        const drawn = this.keep && points.length > 8 ? smoothed(points, this.keep) : points;
        path.setAttribute('d', `M${drawn.map((point) => this.pixels(point).map((v) => v.toFixed(2)).join(' ')).join('L')}`);
      }
      for (const { mark, at, point } of layer.marks) mark.setAttribute('transform', `translate(0 ${(this.pixels(point)[1] - at[1]).toFixed(2)})`);
    }
    this.ticks();
    this.show(-1);
  }

  /** The ticks of the upward axis: those of the picture, or powers of ten. */
  ticks() {
    const [left, right, top, bottom] = this.frame;
    const own = all('.tick-y', this.panel);
    for (const element of own) element.style.display = this.y.log === this.own.log ? '' : 'none';
    all('.tick-new', this.panel).forEach((element) => element.remove());
    if (this.y.log === this.own.log) return;
    const few = this.y.high - this.y.low < 2;
    for (let power = Math.floor(this.y.low); power <= this.y.high; power += 1) {
      for (const factor of few ? [1, 2, 5] : [1]) {
        const value = factor * 10 ** power;
        const at = bottom - part(this.y, value) * (bottom - top);
        if (at < top - 0.01 || at > bottom + 0.01) continue;
        const tick = made('svg:g', { class: 'tick-new' });
        made('svg:path', { class: 'grid', d: `M${left} ${at}H${right}` }, tick);
        made('svg:text', { class: 'ink', x: left - 6, y: at + 4, 'text-anchor': 'end' }, tick).textContent = shown(value, value / 100);
        this.panel.prepend(tick);
      }
    }
  }
}

/** Tables whose heads sort them. */
const sortable = (table) => {
  if (table.tBodies[0].rows.length < 3 || table.classList.contains('confusion')) return;
  all('thead th', table).forEach((head, column) => {
    const button = made('button', { type: 'button' });
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const sign = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
      all('th[aria-sort]', table).forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', sign > 0 ? 'ascending' : 'descending');
      const value = (row) => { const cell = row.cells[column]; return cell.dataset.v === undefined ? cell.textContent : +cell.dataset.v; };
      const compare = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true }));
      const rows = [...table.tBodies[0].rows];
      const isEmpty = (row) => value(row) === '';
      rows.sort((a, b) => isEmpty(a) - isEmpty(b) || sign * compare(value(a), value(b)));
      table.tBodies[0].append(...rows);
    };
  });
};

/** What `make` makes of an element; one that it cannot work on is left as it is, and the others go on. */
const tried = (make) => (element) => {
  try {
    return make(element);
  } catch (error) {
    pageErrors.push(String(error));
    return null;
  }
};

const plots = all('svg.figure').filter((svg) => svg.querySelector('.panel')).map(tried((svg) => new Plot(svg))).filter((plot) => plot);
all('table').forEach(tried(sortable));
