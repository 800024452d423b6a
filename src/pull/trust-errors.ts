/** Turns what the TUF client throws into one clear refusal: which role, why, what to do. */
import { OsupdError } from '../core/errors.ts';

/** Why metadata was refused. */
type Reason = 'expired' | 'rollback' | 'signature' | 'mismatch' | 'too-long' | 'malformed';

const REMEDIES: Readonly<Record<Reason, string>> = {
  expired: "check this machine's clock; if it is right, the repository must be refreshed by its operator",
  rollback: 'the server offers less than this device has already seen: try again later or another mirror',
  signature: 'do not trust this server; if the keys were replaced for good, run osupd init --trust with the new root',
  mismatch: 'try again later or another mirror',
  'too-long': 'do not trust this server: it sends something else than what was signed',
  malformed: 'check that the url leads to a repository, and that no proxy answers in its place',
};

/**
 * @param error what the client threw
 * @param lastPath path of the file that it had fetched last
 * @param where that file's place, for the message
 */
export function refusal(error: unknown, lastPath: string, where: string): OsupdError {
  // The client puts failures of snapshot and targets into the text of another error.
  const text = (error instanceof Error ? error.message : String(error))
    .replace(/^Unable to load (snapshot metadata|targets) error /, '')
    .replace(/^\w*Error: /, '');
  if (lastPath.startsWith('targets/')) {
    const reason = reasonOf(text);
    return new OsupdError('verification-failed', `it is not what was signed: ${text}`, {
      where,
      remedy: REMEDIES[reason],
      facts: { reason },
      cause: error,
    });
  }
  const reason = reasonOf(text);
  const role = roleIn(text) ?? roleOf(lastPath);
  return new OsupdError('verification-failed', `metadata of role ${role} is refused: ${describe(reason, text)}`, {
    where,
    remedy: REMEDIES[reason],
    facts: { role, reason },
    cause: error,
  });
}

function reasonOf(text: string): Reason {
  if (/is expired$/.test(text)) return 'expired';
  if (/less than current|^Missing file .* in new snapshot|^Expected version/.test(text)) return 'rollback';
  if (/was signed by \d+\/\d+ keys|no delegation found/i.test(text)) return 'signature';
  if (/^it is longer than/.test(text)) return 'too-long';
  if (/match|^Expected (length|hash)|^Missing /.test(text)) return 'mismatch';
  return 'malformed';
}

function describe(reason: Reason, text: string): string {
  switch (reason) {
    case 'expired':
      return 'it is expired';
    case 'malformed':
      return `it is not valid (${text.split('\n')[0]?.slice(0, 200)})`;
    default:
      return text;
  }
}

/** The role that the text itself names: `Final timestamp.json is expired`, `releases was signed by 0/1 keys`. */
function roleIn(text: string): string | undefined {
  return /([\w-]+)\.json is expired$/.exec(text)?.[1] ?? /^([\w-]+) was signed by/.exec(text)?.[1];
}

function roleOf(path: string): string {
  return /^metadata\/(?:\d+\.)?(.+)\.json$/.exec(path)?.[1] ?? 'targets';
}
