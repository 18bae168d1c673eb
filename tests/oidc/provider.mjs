// An identity provider for tests: certified oidc-provider, with people from a file that is read anew at each request.
// Arguments: port, client's redirect addresses (separated by commas), file of people {login: {claims}}.
import { readFileSync } from "node:fs";
import { Provider } from "oidc-provider";

const [port, redirects, people] = process.argv.slice(2);
const claimsOf = (login) => JSON.parse(readFileSync(people, "utf8"))[login];

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "dovetail",
      client_secret: "dovetail-tests-secret",
      redirect_uris: redirects.split(","),
      grant_types: ["authorization_code"],
      response_types: ["code"],
      backchannel_logout_uri: redirects.split(",")[0].replace(/callback$/, "logout"),
      backchannel_logout_session_required: true,
    },
  ],
  claims: {
    openid: ["sub"],
    profile: ["name", "preferred_username"],
    email: ["email", "email_verified"],
    groups: ["groups"],
  },
  scopes: ["openid", "profile", "email", "groups"],
  cookies: { keys: ["only-for-tests"] },
  features: { backchannelLogout: { enabled: true } },
  fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }), // the hub is on this machine
  pkce: { required: () => true },
  findAccount: (context, login) =>
    claimsOf(login) && { accountId: login, claims: () => ({ sub: login, ...claimsOf(login) }) },
});
provider.listen(Number(port), "127.0.0.1");
