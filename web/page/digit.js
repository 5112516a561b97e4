// A field to draw a digit in, and the digit as the data have it: 8 by 8 pixels from 0 to 1.

/** Pixels of a side of the digits. */
const SIDE = 8;

/**
 * Makes the canvas a field to draw in; `changed` hears the pixels, or null once it is empty. Gives a function that clears it.
 */
export function field(canvas, changed) {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const size = canvas.width;
    const pen = { x: size / 2, y: size / 4, isDown: false };
    let last = null, isEmpty = true;
    context.lineCap = context.lineJoin = "round";

    function stroke(from, to) {
        // Black on nothing: the theme colours the field, and the alpha is the ink.
        context.strokeStyle = getComputedStyle(canvas).color;
        context.lineWidth = size / 9;
        context.beginPath();
        context.moveTo(from.x, from.y);
        context.lineTo(to.x + 0.01, to.y);
        context.stroke();
        isEmpty = false;
    }
    const place = (event) => {
        const box = canvas.getBoundingClientRect();
        return { x: ((event.clientX - box.left) / box.width) * size, y: ((event.clientY - box.top) / box.height) * size };
    };
    canvas.onpointerdown = (event) => {
        canvas.setPointerCapture(event.pointerId);
        last = place(event);
        stroke(last, last);
    };
    canvas.onpointermove = (event) => {
        if (!last) return;
        const now = place(event);
        stroke(last, now);
        last = now;
    };
    canvas.onpointerup = canvas.onpointercancel = () => {
        if (last) changed(pixels());
        last = null;
    };
    canvas.onkeydown = (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (step) {
            const to = {
                x: Math.min(Math.max(pen.x + (step[0] * size) / 16, 0), size),
                y: Math.min(Math.max(pen.y + (step[1] * size) / 16, 0), size),
            };
            if (pen.isDown) stroke(pen, to);
            Object.assign(pen, to);
        } else if (event.key === " ") {
            pen.isDown = !pen.isDown;
            if (pen.isDown) stroke(pen, pen);
        } else return;
        event.preventDefault();
        if (!isEmpty) changed(pixels());
    };

    // The digits fill their 8 by 8 pixels from top to bottom: so the drawing is cut to its ink, and its height becomes 8.
    function pixels() {
        const ink = context.getImageData(0, 0, size, size).data;
        let [left, top, right, bottom] = [size, size, -1, -1];
        for (let y = 0; y < size; y++) {
            for (let x = 0; x < size; x++) {
                if (ink[(y * size + x) * 4 + 3] < 64) continue;
                [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
            }
        }
        if (right < 0) return null;
        const side = Math.max(bottom - top + 1, right - left + 1, size / 4);
        const [from, above] = [(left + right + 1 - side) / 2, (top + bottom + 1 - side) / 2];
        const found = new Float32Array(SIDE * SIDE);
        for (let row = 0; row < SIDE; row++) {
            for (let column = 0; column < SIDE; column++) {
                let sum = 0, count = 0;
                const [y0, x0] = [above + (row * side) / SIDE, from + (column * side) / SIDE];
                for (let y = Math.round(y0); y < Math.round(y0 + side / SIDE); y++) {
                    for (let x = Math.round(x0); x < Math.round(x0 + side / SIDE); x++) {
                        count++;
                        if (x >= 0 && y >= 0 && x < size && y < size) sum += ink[(y * size + x) * 4 + 3];
                    }
                }
                // The digits have 16 steps of grey.
                found[row * SIDE + column] = Math.round((16 * sum) / (255 * Math.max(count, 1))) / 16;
            }
        }
        return found;
    }

    return {
        pixels,
        clear() {
            context.clearRect(0, 0, size, size);
            isEmpty = true;
            Object.assign(pen, { x: size / 2, y: size / 4, isDown: false });
            last = null;
            changed(null);
        },
    };
}
