/**
 * Watches every WebGPU device the engine opens: a bad shader or a lost device does not fail a read,
 * it leaves old numbers in the buffer, so whoever waits for the read must be told from here. Counts
 * dispatches, submissions and the bytes of buffers on the way.
 */
import type { GpuCounters } from './protocol';

export class GpuWatch {
  readonly counters: GpuCounters = { devices: 0, dispatches: 0, submits: 0, encode_ms: 0, buffer_bytes: 0 };
  readonly devices: GPUDevice[] = [];
  #onFailure: (message: string) => void;

  constructor(onFailure: (message: string) => void) {
    this.#onFailure = onFailure;
  }

  /** Called with the reason, by the device's own events and by tests. */
  fail(message: string): void {
    this.#onFailure(message);
  }

  /** Wraps the prototypes of this realm; does nothing where WebGPU is missing. */
  install(): void {
    if (typeof GPUAdapter === 'undefined') return;
    const observe = (device: GPUDevice) => {
      this.#observe(device);
    };
    wrap(GPUAdapter.prototype, 'requestDevice', (original) => async function (this: GPUAdapter, ...args) {
      const device = await original.apply(this, args);
      observe(device);
      return device;
    });
    const { counters } = this;
    const held = new WeakSet<GPUBuffer>();
    wrap(GPUDevice.prototype, 'createBuffer', (original) => function (this: GPUDevice, ...args) {
      const buffer = original.apply(this, args);
      counters.buffer_bytes += buffer.size;
      held.add(buffer);
      return buffer;
    });
    wrap(GPUBuffer.prototype, 'destroy', (original) => function (this: GPUBuffer, ...args) {
      if (held.delete(this)) counters.buffer_bytes -= this.size;
      original.apply(this, args);
    });
    let since: number | null = null;
    const dispatched = () => {
      since ??= performance.now();
      counters.dispatches += 1;
    };
    wrap(GPUComputePassEncoder.prototype, 'dispatchWorkgroups', (original) => function (this: GPUComputePassEncoder, ...args) {
      dispatched();
      original.apply(this, args);
    });
    wrap(GPUComputePassEncoder.prototype, 'dispatchWorkgroupsIndirect', (original) => function (this: GPUComputePassEncoder, ...args) {
      dispatched();
      original.apply(this, args);
    });
    wrap(GPUQueue.prototype, 'submit', (original) => function (this: GPUQueue, ...args) {
      counters.submits += 1;
      original.apply(this, args);
      if (since !== null) counters.encode_ms += performance.now() - since;
      since = null;
    });
  }

  #observe(device: GPUDevice): void {
    this.counters.devices += 1;
    this.devices.push(device);
    device.addEventListener('uncapturederror', (event) => {
      this.fail(`The GPU reported an error: ${event.error.message}`);
    });
    void device.lost.then((info) => {
      this.fail(`The GPU was lost: ${info.message || info.reason}`);
    });
  }
}

function wrap<T extends object, K extends keyof T>(target: T, key: K, around: (original: T[K]) => T[K]): void {
  target[key] = around(target[key]);
}
