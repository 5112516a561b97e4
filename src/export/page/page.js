// The page of an exported net: something to draw on, to fill in or to write, and the net's answer.

import { load } from './net.js';

const root = document.getElementById('net');
const status = document.getElementById('status');

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (typeof value === 'boolean') made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Answers

function number(value) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
}

function largest(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

// The likeliest class of each place.
function places(names, values, width) {
  const rows = [];
  for (let at = 0; at < values.length && rows.length < 100; at += width) {
    const row = values.slice(at, at + width);
    const best = largest(row);
    rows.push(element('li', {}, `${names[best] ?? best} ${(100 * row[best]).toFixed(1)}%`));
  }
  return element('ol', { class: 'places', start: '0' }, ...rows);
}

function bars(names, values) {
  const order = values.map((_, i) => i);
  if (values.length > 12) order.sort((a, b) => values[b] - values[a]).splice(10);
  const best = largest(values);
  return element('ol', { class: 'bars' }, ...order.map((i) => element(
    'li', i === best ? { class: 'best' } : {},
    element('span', { class: 'name' }, names[i] ?? String(i)),
    element('span', { class: 'track' }, element('span', { class: 'bar', style: `width:${(100 * values[i]).toFixed(2)}%` })),
    element('span', { class: 'value' }, `${(100 * values[i]).toFixed(1)}%`),
  )));
}

// The widget of an output that is an image like the input: the numbers in the unit of the data.
function picture(input, values) {
  const [channels, height, width] = input.shape;
  const canvas = element('canvas', { width, height, class: 'picture', role: 'img', 'aria-label': 'the output as an image' });
  const pixels = new ImageData(width, height);
  const each = width * height;
  for (let i = 0; i < each; i++) {
    for (let c = 0; c < 3; c++) {
      const from = channels === 1 ? 0 : c;
      const pick = input.factor.length > 1 ? from : 0;
      const raw = (values[from * each + i] - input.offset[pick]) / input.factor[pick];
      pixels.data[4 * i + c] = (255 * raw) / input.white;
    }
    pixels.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

function answer(program, y) {
  const { input, output } = program;
  const values = Array.from(y);
  if (output.probabilities && output.shape.length > 1) return places(output.names, values, output.shape[output.shape.length - 1]);
  if (output.probabilities) return bars(output.names, values);
  if (input.kind === 'image' && String(output.shape) === String(input.shape)) return picture(input, values);
  const unit = (value) => (output.target ? value * output.target[1] + output.target[0] : value);
  const shown = values.slice(0, 100).map((value) => element('li', {}, number(unit(value))));
  if (values.length > 100) shown.push(element('li', {}, `and ${values.length - 100} more`));
  return element('ul', { class: 'numbers' }, ...shown);
}

// Inputs: each makes its widget, and calls `ask` with a sample, or `refuse` with what is wrong.

function image(input, ask, refuse) {
  const [channels, height, width] = input.shape;
  const cell = Math.max(4, Math.floor(280 / Math.max(height, width)));
  const pad = element('canvas', {
    width: cell * width, height: cell * height, class: 'pad', 'aria-label': `draw here: ${width} by ${height} pixels`,
  });
  const context = pad.getContext('2d', { willReadFrequently: true });
  const seen = element('canvas', { width, height, class: 'seen', role: 'img', 'aria-label': 'the pixels that the net reads' });
  const invert = element('input', { type: 'checkbox', onchange: () => read() });
  const clear = () => {
    context.fillStyle = '#000';
    context.fillRect(0, 0, pad.width, pad.height);
    Object.assign(context, { strokeStyle: '#fff', lineWidth: 1.6 * cell, lineCap: 'round', lineJoin: 'round' });
  };
  // The mean of each cell.
  const read = () => {
    const from = context.getImageData(0, 0, pad.width, pad.height).data;
    const sample = new Float32Array(input.count);
    const pixels = new ImageData(width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const sums = [0, 0, 0];
        for (let j = 0; j < cell; j++) {
          for (let i = 0; i < cell; i++) {
            const at = 4 * ((y * cell + j) * pad.width + x * cell + i);
            for (let c = 0; c < 3; c++) sums[c] += from[at + c];
          }
        }
        let colour = sums.map((sum) => sum / (cell * cell));
        if (invert.checked) colour = colour.map((value) => 255 - value);
        if (channels === 1) colour.fill(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]);
        const at = y * width + x;
        for (let c = 0; c < channels; c++) sample[c * width * height + at] = (Math.round(colour[c]) * input.white) / 255;
        pixels.data.set([...colour, 255], 4 * at);
      }
    }
    seen.getContext('2d').putImageData(pixels, 0, 0);
    ask(sample);
  };
  // The stroke's last point, and the pointer that draws it.
  let from = null;
  let pen = null;
  const point = (event) => {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height];
  };
  const draw = (event) => {
    if (event.pointerId !== pen) return;
    const to = point(event);
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    from = to;
    read();
  };
  pad.addEventListener('pointerdown', (event) => {
    if (pen !== null || event.button !== 0) return;
    pen = event.pointerId;
    try { pad.setPointerCapture(event.pointerId); } catch { /* a pointer that a script made */ }
    from = point(event);
    draw(event);
  });
  pad.addEventListener('pointermove', draw);
  for (const end of ['pointerup', 'pointercancel']) pad.addEventListener(end, (event) => { if (event.pointerId === pen) pen = null; });
  const open = async (file) => {
    const bitmap = await createImageBitmap(file);
    clear();
    // An image of the net's own size keeps its pixels.
    context.imageSmoothingEnabled = bitmap.width !== width || bitmap.height !== height;
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, pad.width, pad.height);
    read();
  };
  const file = element('input', { type: 'file', accept: 'image/*', onchange: () => {
    if (file.files[0]) open(file.files[0]).catch(refuse);
    file.value = '';
  } });
  pad.addEventListener('dragover', (event) => event.preventDefault());
  pad.addEventListener('drop', (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]).catch(refuse);
  });
  clear();
  queueMicrotask(read);
  return [
    element('p', { class: 'hint' }, `Draw, so that it fills the square, or open an image; one of another size than ${width} by ${height} is stretched.`),
    element('div', { class: 'drawing' }, pad, seen),
    element('div', { class: 'row' },
      element('button', { type: 'button', onclick: () => { clear(); read(); } }, 'Clear'),
      element('label', {}, invert, ' dark on light'),
      element('label', { class: 'file' }, 'Open an image: ', file)),
  ];
}

function table(input, ask, refuse) {
  const fields = input.columns.map((column) => {
    if (column.categories) {
      const missing = column.fill === undefined ? [] : [element('option', { value: '' }, 'missing')];
      return element('select', { id: `c ${column.name}` }, ...column.categories.map((name) => element('option', { value: name }, name)), ...missing);
    }
    return element('input', { type: 'number', step: 'any', id: `c ${column.name}`, value: number(column.mean) });
  });
  const read = () => {
    const sample = [];
    for (const [i, column] of input.columns.entries()) {
      if (fields[i].validity.badInput) return refuse(new Error(`${column.name}: that is no number`));
      let value = fields[i].value;
      if (column.std !== undefined && value !== '' && input.missing.includes(Number(value))) value = '';
      if (value === '' && column.fill === undefined) return refuse(new Error(`${column.name}: a value is needed`));
      if (value === '') value = column.fill;
      if (column.categories) sample.push(...column.categories.map((name) => (name === value ? 1 : 0)));
      else sample.push((Number(value) - column.mean) / column.std);
    }
    ask(sample);
  };
  queueMicrotask(read);
  return [element('form', { class: 'fields', oninput: read, onsubmit: (event) => event.preventDefault() },
    ...input.columns.flatMap((column, i) => [element('label', { for: fields[i].id }, column.name), fields[i]]))];
}

function numbers(input, ask, refuse) {
  const area = element('textarea', { rows: 6, 'aria-label': 'numbers' });
  const isShort = input.count <= 4096;
  if (isShort) area.value = Array(input.count).fill('0').join(' ');
  const read = () => {
    const sample = area.value.split(/[\s,;[\]]+/).filter(Boolean).map(Number);
    if (sample.some(Number.isNaN)) return refuse(new Error('there is something that is no number'));
    ask(sample);
  };
  area.addEventListener('change', read);
  if (isShort) queueMicrotask(read);
  return [
    element('p', { class: 'hint' }, `${input.count} numbers, of the shape [${input.shape.join(', ')}]`),
    area,
    element('div', { class: 'row' }, element('button', { type: 'button', onclick: read }, 'Answer')),
  ];
}

function text(input, output, net) {
  const characters = Array.from(input.characters);
  const places = new Map(characters.map((character, i) => [character, i]));
  const area = element('textarea', { rows: 12, 'aria-label': 'the text that the net goes on with' });
  area.value = [...'fn '].every((character) => places.has(character)) ? 'fn ' : characters.find((character) => /\p{L}/u.test(character)) ?? characters[0];
  const heat = element('input', { type: 'range', min: '0', max: '1.5', step: '0.05', value: '0.8', 'aria-label': 'temperature' });
  const shown = element('output', {}, heat.value);
  heat.addEventListener('input', () => { shown.value = heat.value; });
  const width = output.shape[output.shape.length - 1];
  // A draw by p^(1/temperature) among the vocabulary; 0 takes the likeliest.
  const next = (probabilities) => {
    const heated = Number(heat.value);
    if (!probabilities.every(Number.isFinite)) throw new Error('the net answers with numbers that are not finite');
    if (heated === 0) return largest(Array.from(probabilities));
    const weights = Array.from(probabilities, (p) => p ** (1 / heated));
    let at = Math.random() * weights.reduce((a, b) => a + b, 0);
    const found = weights.findIndex((weight) => (at -= weight) < 0);
    return found < 0 ? 0 : found;
  };
  let going = false;
  const go = element('button', { type: 'button' }, 'Continue the text');
  const write = async () => {
    for (let n = 0; going && n < 500; n++) {
      const known = Array.from(area.value).filter((character) => places.has(character)).slice(-input.count);
      if (!known.length) throw new Error('the text has no character that the net knows');
      const sample = new Int32Array(input.count);
      known.forEach((character, i) => { sample[i] = places.get(character); });
      const y = await net.run(sample);
      const last = y.subarray((known.length - 1) * width, (known.length - 1) * width + characters.length);
      area.value += characters[next(last)];
      area.scrollTop = area.scrollHeight;
      done();
    }
  };
  go.addEventListener('click', async () => {
    if (going) {
      // The step on its way is the last.
      going = false;
      go.disabled = true;
      return;
    }
    going = true;
    go.textContent = 'Stop';
    await write().catch(fail);
    going = false;
    go.disabled = false;
    go.textContent = 'Continue the text';
  });
  return [
    element('p', { class: 'hint' }, `The net reads the last ${input.count} characters and draws the next.`),
    area,
    element('div', { class: 'row' }, go, element('label', {}, 'temperature ', heat, ' ', shown)),
  ];
}

function fail(error) {
  status.textContent = error.message ?? String(error);
  status.className = 'wrong';
}

function done() {
  status.textContent = '';
  status.className = '';
}

async function start() {
  const net = await load('.');
  net.device.addEventListener('uncapturederror', (event) => fail(event.error));
  const { input, output } = net.program;
  const answers = element('section', { class: 'answer', 'aria-live': 'polite' });
  // The newest sample waits while one is computed; older ones are left out.
  let waiting = null;
  let isBusy = false;
  let asked = 0;
  const ask = async (sample) => {
    waiting = { sample, number: ++asked };
    if (isBusy) return;
    isBusy = true;
    while (waiting) {
      const { sample: next, number } = waiting;
      waiting = null;
      try {
        const y = await net.run(next);
        if (number === asked) {
          answers.replaceChildren(answer(net.program, y));
          done();
        }
      } catch (error) {
        if (number === asked) fail(error);
      }
    }
    isBusy = false;
  };
  const refuse = (error) => {
    asked++;
    waiting = null;
    answers.replaceChildren();
    fail(error);
  };
  const kinds = { image: () => image(input, ask, refuse), table: () => table(input, ask, refuse), numbers: () => numbers(input, ask, refuse), text: () => text(input, output, net) };
  root.replaceChildren(element('section', {}, ...kinds[input.kind]()), answers);
  root.classList.toggle('wide', input.kind === 'text');
  done();
}

start().catch(fail);
