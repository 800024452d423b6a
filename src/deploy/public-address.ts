/** Addresses of repositories as everybody may see them. */

/** The address without user name, password and query, which may be secrets. A path stays as it is. */
export function publicAddress(address: string): string {
  const url = URL.parse(address);
  if (url === null || (url.username === '' && url.password === '' && url.search === '')) return address;
  url.username = '';
  url.password = '';
  url.search = '';
  return url.href;
}
