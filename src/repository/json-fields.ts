/**
 * Strict reading of JSON documents. A field that is missing, of another type or out of range is an error that names the
 * field. Unknown fields are ignored, except those that the document lists in `critical`: their writer says that who does not
 * know them must not use the document.
 */
import { type Digest, isDigest } from '../core/digest.ts';
import type { OsupdError } from '../core/errors.ts';

/** Makes the error for a document that breaks a rule, given what is wrong. */
export type BadDocument = (what: string) => OsupdError;

/** The fields of one JSON object. */
export class JsonFields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #bad: BadDocument;

  constructor(value: unknown, path: string, bad: BadDocument) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw bad(`${path || 'it'} is not an object`);
    this.#object = value as Record<string, unknown>;
    this.#path = path;
    this.#bad = bad;
  }

  /** The error for a field that breaks a rule of its own: `field "a.b" WHAT`. */
  bad(name: string, what: string): OsupdError {
    return this.#bad(`field "${this.#at(name)}" ${what}`);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name) && this.#object[name] !== null;
  }

  string(name: string, check: (text: string) => boolean = () => true): string {
    const value = this.#get(name);
    if (typeof value !== 'string') throw this.bad(name, 'is not text');
    if (!check(value)) throw this.bad(name, `has an invalid value: ${JSON.stringify(value.slice(0, 80))}`);
    return value;
  }

  /** A whole number of `minimum` or more (0 by default), at most 2^53 - 1. */
  integer(name: string, minimum = 0, maximum = Number.MAX_SAFE_INTEGER): number {
    const value = this.#get(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.bad(name, 'is not a whole number');
    if (value < minimum || value > maximum) throw this.bad(name, `is not between ${minimum} and ${maximum}`);
    return value;
  }

  number(name: string, minimum: number, maximum: number): number {
    const value = this.#get(name);
    if (typeof value !== 'number') throw this.bad(name, 'is not a number');
    if (!(value >= minimum && value <= maximum)) throw this.bad(name, `is not between ${minimum} and ${maximum}`);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#get(name);
    if (typeof value !== 'boolean') throw this.bad(name, 'is neither true nor false');
    return value;
  }

  /** A time as `2030-01-31T23:59:59Z`. */
  time(name: string): string {
    return this.string(name, isTime);
  }

  digest(name: string): Digest {
    return this.string(name, isDigest) as Digest;
  }

  sha256(name: string): string {
    return this.string(name, isDigest);
  }

  digests(name: string, limit: number): Digest[] {
    return this.list(name, limit).map((item) => {
      if (typeof item !== 'string' || !isDigest(item)) throw this.bad(name, 'holds something that is not a digest');
      return item;
    });
  }

  strings(name: string, limit: number): string[] {
    return this.list(name, limit).map((item) => {
      if (typeof item !== 'string') throw this.bad(name, 'holds something that is not text');
      return item;
    });
  }

  list(name: string, limit: number): unknown[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) throw this.bad(name, 'is not a list');
    if (value.length > limit) throw this.bad(name, `has ${value.length} entries; the limit is ${limit}`);
    return value;
  }

  /** A list of objects. */
  objects(name: string, limit: number): JsonFields[] {
    return this.list(name, limit).map((item, index) => new JsonFields(item, `${this.#at(name)}[${index}]`, this.#bad));
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#get(name), this.#at(name), this.#bad);
  }

  /** The field names of this object, each passed by `check`. */
  names(check: (name: string) => boolean, limit: number): string[] {
    const names = Object.keys(this.#object);
    if (names.length > limit) throw this.#bad(`"${this.#path}" has ${names.length} fields; the limit is ${limit}`);
    for (const name of names)
      if (!check(name)) throw this.bad(name.slice(0, 80), 'has a name that is not allowed here');
    return names;
  }

  /** A map of text by name. */
  texts(name: string, check: (name: string) => boolean, limit: number): Record<string, string> {
    const fields = this.object(name);
    return Object.fromEntries(fields.names(check, limit).map((key) => [key, fields.string(key)]));
  }

  #get(name: string): unknown {
    if (!this.has(name)) throw this.#bad(`field "${this.#at(name)}" is missing`);
    return this.#object[name];
  }

  #at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }
}

/**
 * Parses a document and checks its `schema` and `critical` fields.
 * @param known every top-level field that the caller reads
 * @throws what `bad` makes
 */
export function parseDocument(
  bytes: Uint8Array,
  schema: string,
  known: readonly string[],
  bad: BadDocument,
): JsonFields {
  const fields = new JsonFields(parseJson(bytes, bad), '', bad);
  const found = fields.string('schema');
  if (found !== schema) throw bad(`its schema is ${JSON.stringify(found.slice(0, 80))}, not "${schema}"`);
  if (fields.has('critical')) {
    const unknown = fields.strings('critical', 100).find((name) => !known.includes(name));
    if (unknown !== undefined) {
      throw bad(`it needs the feature ${JSON.stringify(unknown.slice(0, 80))}, which this osupd does not know`);
    }
  }
  return fields;
}

/** JSON from bytes that must be UTF-8. */
export function parseJson(bytes: Uint8Array, bad: BadDocument): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw bad(`it is not JSON: ${(error as Error).message}`);
  }
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && !Number.isNaN(Date.parse(text));
}

/** A time as documents and TUF metadata have it: UTC, whole seconds, `2030-01-31T23:59:59Z`. */
export function formatTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** The bytes of a document: JSON in the order of the fields, indented for people, with a final newline. */
export function encodeDocument(document: object): Buffer {
  return Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`, 'utf8');
}
