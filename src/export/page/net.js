// Runs an exported net by WebGPU, one sample at a time:
//
//     import { load } from './net.js';
//     const net = await load('.');              // the folder of program.json and params.bin
//     const y = await net.run(new Float32Array(64));
//
// A sample is the numbers as the data have them, row-major; program.input says its shape. The answer is that of
// `downhill predict` before a target's own unit: probabilities, or numbers, of the shape program.output.shape.

export async function load(folder) {
  if (!navigator.gpu) throw new Error('this browser has no WebGPU; Chrome, Edge, Safari and Firefox have it in their newest versions, on pages of https or localhost');
  const get = async (name) => {
    const response = await fetch(`${folder}/${name}`);
    if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
    return response;
  };
  const [program, weights] = await Promise.all([get('program.json').then((r) => r.json()), get('params.bin').then((r) => r.arrayBuffer())]);
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error('this browser found no adapter for WebGPU');
  const device = await adapter.requestDevice({ requiredLimits: program.limits });
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const buffers = program.buffers.map((size) => device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST }));
  for (const [buffer, from, bytes] of program.contents) device.queue.writeBuffer(buffers[buffer], 0, weights, from, bytes);

  const modules = program.texts.map((code) => device.createShaderModule({ code }));
  const steps = await Promise.all(program.steps.map(async (step) => {
    const entries = step.bindings.map(([binding, type]) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
    const layout = device.createBindGroupLayout({ entries });
    const pipeline = await device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: modules[step.text], entryPoint: step.entry, constants: step.constants },
    });
    const resource = ([binding, , buffer, offset, size]) => ({ binding, resource: { buffer: buffers[buffer], offset, size } });
    return { pipeline, group: device.createBindGroup({ layout, entries: step.bindings.map(resource) }), grid: step.grid };
  }));

  const { input, output } = program;
  const count = output.shape.reduce((a, b) => a * b, 1);
  const readback = device.createBuffer({ size: 4 * count, usage: MAP_READ | COPY_DST });
  const scaled = (x, i) => {
    const channel = input.factor.length > 1 ? Math.floor(i / (input.count / input.factor.length)) : 0;
    return Math.fround(Math.fround(x) * input.factor[channel]) + input.offset[channel];
  };
  const once = async (sample) => {
    if (sample.length !== input.count) throw new Error(`${sample.length} numbers, and a sample has ${input.count}`);
    if (input.type === 'i32') {
      const wrong = sample.find((value) => !Number.isInteger(value) || value < 0 || value >= (input.below ?? 2 ** 31));
      if (wrong !== undefined) throw new Error(`${wrong} is no whole number from 0 to ${(input.below ?? 2 ** 31) - 1}`);
    }
    const x = input.type === 'i32' ? Int32Array.from(sample) : Float32Array.from(sample, input.factor ? scaled : undefined);
    device.queue.writeBuffer(buffers[input.buffer], 0, x);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { pipeline, group, grid } of steps) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
    encoder.copyBufferToBuffer(buffers[output.buffer], 0, readback, 0, 4 * count);
    device.queue.submit([encoder.finish()]);
    await readback.mapAsync(GPUMapMode.READ);
    const y = new Float32Array(readback.getMappedRange().slice(0));
    readback.unmap();
    return y;
  };
  // One sample after the other: they share the buffers.
  let last = Promise.resolve();
  const run = (sample) => (last = last.catch(() => {}).then(() => once(sample)));
  return { program, device, run };
}
