/** The last three offsets, which sequences repeat (RFC 8878, 3.1.1.5). */
export class OffsetHistory {
  first = 1;
  second = 4;
  third = 8;

  reset(): void {
    this.first = 1;
    this.second = 4;
    this.third = 8;
  }

  /** An encoder that starts anew within a frame does not know the offsets before. */
  forget(): void {
    this.first = 0;
    this.second = 0;
    this.third = 0;
  }

  copy({ first, second, third }: OffsetHistory): void {
    this.first = first;
    this.second = second;
    this.third = third;
  }

  /** The offset that a number in a sequence stands for, which becomes the last one. */
  take(value: number, literalLength: number): number {
    if (value > 3) {
      this.third = this.second;
      this.second = this.first;
      this.first = value - 3;
      return this.first;
    }
    const which = literalLength === 0 ? value + 1 : value;
    if (which === 1) return this.first;
    const offset = which === 2 ? this.second : which === 3 ? this.third : this.first - 1;
    if (which !== 2) this.third = this.second;
    this.second = this.first;
    this.first = offset;
    return offset;
  }
}
