/** What adaptive coders learn from the segments of one record. Encoder and decoder make new ones for each record. */
import { ControlModel } from './control-model.ts';
import { LiteralModel } from './literal-model.ts';
import { ResidualModel } from './residual-model.ts';

/** Models are made when they are first used. One is forgotten at a segment whose stream is plain. */
export class RecordModels {
  readonly #bytes: number;
  #control: ControlModel | undefined;
  #residual: ResidualModel | undefined;
  #literal: LiteralModel | undefined;

  /** @param bytes of the record's content. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  get control(): ControlModel {
    this.#control ??= new ControlModel();
    return this.#control;
  }

  get residual(): ResidualModel {
    this.#residual ??= new ResidualModel(this.#bytes);
    return this.#residual;
  }

  get literal(): LiteralModel {
    this.#literal ??= new LiteralModel(this.#bytes);
    return this.#literal;
  }

  /** Gives the memory of all models back; those that are asked for later begin anew. */
  free(): void {
    this.forgetControl();
    this.forgetResidual();
    this.forgetLiteral();
  }

  forgetControl(): void {
    this.#control = undefined;
  }

  forgetResidual(): void {
    this.#residual?.free();
    this.#residual = undefined;
  }

  forgetLiteral(): void {
    this.#literal?.free();
    this.#literal = undefined;
  }
}
