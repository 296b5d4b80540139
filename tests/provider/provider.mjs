// An OpenID Connect provider on this machine, for the tests of sign-in: the package oidc-provider with real pages.
// Usage: node provider.mjs FOLDER, with settings.json, keys.json, accounts.json, ca.pem and key.pem in it. The packages
// are those in the folder NODE_PATH: modules do not search there, so it is named here.
import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const folder = process.argv[2];
const read = (name) => readFileSync(join(folder, name), 'utf8');
const settings = JSON.parse(read('settings.json'));
const found = createRequire(join(process.env.NODE_PATH, 'x.js')).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(found).href);

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: JSON.parse(read('keys.json')),
  cookies: { keys: ['of the tests'] },
  claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  features: { backchannelLogout: { enabled: true } },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  // The names and groups of accounts are read for each token, so that a test can change them.
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...JSON.parse(read('accounts.json'))[id] }) }),
  // Its own protection refuses loopback, where the server of a test is.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});
const show = (event) => (_, error) => console.log(event, error.message, error.error_description ?? '');
for (const event of ['server_error', 'backchannel.error', 'authorization.error', 'grant.error']) {
  provider.on(event, show(event));
}
provider.on('backchannel.success', () => console.log('backchannel.success'));
const tls = { cert: read('ca.pem'), key: read('key.pem') };
createServer(tls, provider.callback()).listen(settings.port, '127.0.0.1', () => console.log('ready'));
