/** Values of `--apply`. */
export const APPLY_WAYS = ['auto', 'soft-reboot', 'reboot'] as const;
export type ApplyWay = (typeof APPLY_WAYS)[number];
