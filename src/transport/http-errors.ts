/** What a failed HTTP request means: which failures another attempt may mend, and how each reads. */
import type { IncomingMessage } from 'node:http';
import { OsupdError } from '../core/errors.ts';
import { networkError } from './source.ts';

/** Statuses that say "not now" (RFC 9110 section 15, RFC 6585, RFC 8470). */
const LATER = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Object stores answer 403 for a name that does not exist when listing is not allowed. */
const ABSENT = new Set([403, 404, 410]);

/** The error for a status that is neither success nor a redirect. */
export function badStatus(response: IncomingMessage, where: string): OsupdError {
  const status = response.statusCode ?? 0;
  const words = `${status} ${response.statusMessage ?? ''}`.trim();
  if (ABSENT.has(status)) {
    return new OsupdError('not-found', `the server does not have it (${words})`, { where, facts: { status } });
  }
  if (status === 416) {
    return networkError('it is shorter than was asked for', where, { transient: false, facts: { status } });
  }
  const retryAfter = seconds(response.headers['retry-after']);
  return networkError(`the server answered ${words}`, where, {
    transient: LATER.has(status),
    facts: { status, ...(retryAfter === undefined ? {} : { retryAfter }) },
    ...(status === 401 ? { remedy: 'put the name and password into the URL: https://NAME:PASSWORD@HOST/' } : {}),
  });
}

/** Retry-After in seconds; its other form, a date, would need the clock and is left to the usual pauses. */
function seconds(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : undefined;
}

/** Failures of TLS that no further attempt mends; the names are those of OpenSSL and Node. */
const CERTIFICATE = /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|INVALID_CA|EPROTO)/;

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'no server listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'the name of the server is not known',
  EAI_AGAIN: 'the name service does not answer',
  EHOSTUNREACH: 'the server cannot be reached',
  ENETUNREACH: 'there is no network',
  ETIMEDOUT: 'the server does not answer',
};

/** The error for a request that failed below HTTP: names, connections, TLS, an answer that is no HTTP. */
export function failedRequest(error: unknown, where: string): OsupdError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (CERTIFICATE.test(code)) {
    return networkError(`the server cannot prove who it is: ${message || code}`, where, {
      transient: false,
      cause: error,
      remedy: "check this machine's clock and the server's certificate",
    });
  }
  const words = WORDS[code];
  const text = words === undefined ? message || code : `${words} (${code})`;
  return networkError(text, where, { transient: true, cause: error });
}
