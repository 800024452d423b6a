/** A pool of worker threads that run jobs of one kind; errors come back as the OsupdErrors they were. */
import { availableParallelism } from 'node:os';
import { parentPort, type ResourceLimits, Worker } from 'node:worker_threads';
import { type ErrorCode, OsupdError, toOsupdError } from './errors.ts';

interface Answer<Result> {
  readonly result?: Result;
  readonly error?: ErrorRecord;
}

interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly where: string | undefined;
  readonly remedy: string | undefined;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly stack: string | undefined;
}

interface Pending<Job, Result> {
  readonly job: Job;
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (result: Result) => void;
  readonly reject: (error: OsupdError) => void;
}

export interface WorkerPoolOptions {
  /** Number of threads; all cores by default. */
  readonly size?: number;
  /** JavaScript heap of each worker in MiB; the runtime's own limit by default. */
  readonly heapMegabytes?: number;
  /** Part of it that is filled with new objects before garbage is collected: few MiB save memory and cost some time. */
  readonly youngMegabytes?: number;
}

/**
 * Where a worker's module is, given the module that starts it: `name` without extension takes the extension of the
 * caller, so that it works from the sources (.ts) and from the build (.js) alike.
 */
export function workerModule(callerUrl: string, name: string): URL {
  return new URL(`${name}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl);
}

/** Jobs are taken in the order of {@link WorkerPool.run}; threads start when first needed and one by one. */
export class WorkerPool<Job, Result> {
  readonly size: number;
  readonly #module: URL;
  readonly #limits: ResourceLimits;
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Pending<Job, Result>>();
  readonly #waiting: Pending<Job, Result>[] = [];
  #closed = false;

  constructor(module: URL, options: WorkerPoolOptions = {}) {
    this.size = Math.max(1, options.size ?? availableParallelism());
    this.#module = module;
    const { heapMegabytes, youngMegabytes } = options;
    this.#limits = {
      ...(heapMegabytes === undefined ? {} : { maxOldGenerationSizeMb: heapMegabytes }),
      ...(youngMegabytes === undefined ? {} : { maxYoungGenerationSizeMb: youngMegabytes }),
    };
  }

  /**
   * Runs one job on the next free thread. The job is cloned; buffers in `transfer` are moved instead.
   * @throws OsupdError what the job threw, or `internal` when the thread died.
   */
  run(job: Job, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    if (this.#closed) return Promise.reject(new OsupdError('internal', 'a job was given to a closed worker pool'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, transfer, resolve, reject });
      this.#dispatch();
    });
  }

  /** Stops all threads; jobs that have not finished are rejected as `interrupted`. */
  async close(): Promise<void> {
    this.#closed = true;
    const stopped = () => new OsupdError('interrupted', 'stopped before the work was done');
    for (const pending of this.#waiting.splice(0)) pending.reject(stopped());
    const workers = [...this.#idle, ...this.#running.keys()];
    for (const pending of this.#running.values()) pending.reject(stopped());
    this.#running.clear();
    this.#idle.length = 0;
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#idle.pop() ?? (this.#running.size < this.size ? this.#start() : undefined);
      if (worker === undefined) return;
      const pending = this.#waiting.shift();
      if (pending === undefined) return;
      this.#running.set(worker, pending);
      worker.ref();
      worker.postMessage(pending.job, pending.transfer as ArrayBuffer[]);
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#module, { resourceLimits: this.#limits });
    worker.on('message', (answer: Answer<Result>) => {
      const pending = this.#running.get(worker);
      if (pending === undefined) return;
      this.#running.delete(worker);
      // An idle thread must not keep the process alive.
      worker.unref();
      this.#idle.push(worker);
      if (answer.error === undefined) pending.resolve(answer.result as Result);
      else pending.reject(fromRecord(answer.error));
      this.#dispatch();
    });
    const died = (why: string, cause?: unknown) => {
      const pending = this.#running.get(worker);
      this.#running.delete(worker);
      const at = this.#idle.indexOf(worker);
      if (at >= 0) this.#idle.splice(at, 1);
      pending?.reject(new OsupdError('internal', `a worker thread died: ${why}`, { cause }));
      if (!this.#closed) this.#dispatch();
    };
    worker.on('error', (error: Error) => died(error.message, error));
    worker.on('exit', (status) => died(`exit status ${status}`));
    return worker;
  }
}

/** The worker's side: answers each job with what `run` returns or throws. Call it once, at the end of the worker's module. */
export function serveJobs<Job, Result>(
  run: (job: Job) => Result | Promise<Result>,
  transfer: (result: Result) => ArrayBuffer[] = () => [],
): void {
  const port = parentPort;
  if (port === null) throw new OsupdError('internal', 'serveJobs must be called in a worker thread');
  port.on('message', async (job: Job) => {
    try {
      const result = await run(job);
      port.postMessage({ result } satisfies Answer<Result>, transfer(result));
    } catch (error) {
      port.postMessage({ error: toRecord(toOsupdError(error)) } satisfies Answer<Result>);
    }
  });
}

function toRecord(error: OsupdError): ErrorRecord {
  const { code, message, where, remedy, facts, stack } = error;
  return { code, message, where, remedy, facts, stack };
}

function fromRecord(record: ErrorRecord): OsupdError {
  const error = new OsupdError(record.code, record.message, {
    ...(record.where === undefined ? {} : { where: record.where }),
    ...(record.remedy === undefined ? {} : { remedy: record.remedy }),
    facts: record.facts,
  });
  if (record.stack !== undefined) error.stack = record.stack;
  return error;
}
