/** Values that repeat, by number: those of the old tree in the order of their first use, then new ones as they come. */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import type { Entry } from '../../tree/tree.ts';
import { damagedDelta } from '../damage.ts';
import { type ColumnReaders, type ColumnWriters, VALUE_CODE } from './columns.ts';
import type { FlatEntry } from './entries.ts';
import type { Field } from './fields.ts';

/** The values of a field in the old tree, each once. Further names of files have none. */
function knownValues<Value>(field: Field<Value>, base: readonly FlatEntry[]): Map<string, Value> {
  const known = new Map<string, Value>();
  for (const { entry } of base) {
    if (entry.type === 'hardlink') continue;
    const value = field.of(entry);
    const key = field.keyOf(value);
    if (!known.has(key)) known.set(key, value);
  }
  return known;
}

export class TableWriter<Value> {
  readonly #field: Field<Value>;
  readonly #codes: ByteWriter;
  readonly #values: ByteWriter;
  readonly #numbers: Map<string, number>;
  #last: string | undefined;
  /** What the last entry was compared with, and its key: a form without an old tree compares all with one. */
  #before: Entry | undefined;
  #beforeKey = '';

  constructor(field: Field<Value>, columns: ColumnWriters, base: readonly FlatEntry[]) {
    this.#field = field;
    this.#codes = columns[field.codes];
    this.#values = columns[field.values];
    this.#numbers = new Map([...knownValues(field, base).keys()].map((key, number) => [key, number]));
  }

  /** Writes the entry's value unless `before` has it too; the field's bit where it was written, else 0. */
  write(entry: Entry, before: Entry): number {
    const value = this.#field.of(entry);
    const key = this.#field.keyOf(value);
    if (before !== this.#before) {
      this.#before = before;
      this.#beforeKey = this.#field.keyOf(this.#field.of(before));
    }
    if (key === this.#beforeKey) return 0;
    const number = this.#numbers.get(key);
    if (key === this.#last) {
      this.#codes.varint(VALUE_CODE.last);
    } else if (number !== undefined) {
      this.#codes.varint(VALUE_CODE.known + number);
    } else {
      this.#numbers.set(key, this.#numbers.size);
      this.#codes.varint(VALUE_CODE.new);
      this.#field.write(this.#values, value);
    }
    this.#last = key;
    return this.#field.bit;
  }
}

export class TableReader<Value> {
  readonly #field: Field<Value>;
  readonly #codes: ByteReader;
  readonly #values: ByteReader;
  readonly #known: Value[];
  #last: Value | undefined;

  constructor(field: Field<Value>, columns: ColumnReaders, base: readonly FlatEntry[]) {
    this.#field = field;
    this.#codes = columns[field.codes];
    this.#values = columns[field.values];
    this.#known = [...knownValues(field, base).values()];
  }

  /** The next value where the mask says that it changed, else that of `before`. @throws OsupdError `damaged-delta`. */
  read(mask: number, before: Entry): Value {
    if ((mask & this.#field.bit) === 0) return this.#field.of(before);
    const value = this.#next(this.#codes.varint('a value code'));
    if (value === undefined)
      throw damagedDelta(`the tree form's column "${this.#field.codes}" names a value that is not there`);
    this.#last = value;
    return value;
  }

  #next(code: number): Value | undefined {
    if (code === VALUE_CODE.last) return this.#last;
    if (code !== VALUE_CODE.new) return this.#known[code - VALUE_CODE.known];
    const value = this.#field.read(this.#values);
    this.#known.push(value);
    return value;
  }
}
