/**
 * What an emulation may do: content and settings that someone thought out would make each search as long as can be. Encoder and decoder count alike;
 * where the budget is used up, searches find nothing.
 */
import { MAX_ZSTD_SEARCH_WORK } from '../../../core/limits.ts';

export class SearchBudget {
  /** Places and bytes that may still be looked at. */
  left = 0;

  /** Begins a block of so many bytes, or content that is known before. */
  refill(bytes: number): void {
    this.left = MAX_ZSTD_SEARCH_WORK * (bytes + 1);
  }
}
