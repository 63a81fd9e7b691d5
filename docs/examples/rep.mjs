// A back office that onboards tenants, in Node.js, by docs/rep-contract.md. Needs
// @aws-sdk/client-lambda. As a program it prints no secret, and no link whole:
//   HA_GOTO_STAGE=... AWS_REGION=... node rep.mjs add acme admin@acme.example "Acme Inc."
//   node rep.mjs client acme < two lines: client ID, client secret
//   node rep.mjs link acme; node rep.mjs show acme
import { createHash, createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const FUNCTION = `ha-goto-${process.env.HA_GOTO_STAGE}-rep-command`;
const REGION = process.env.AWS_REGION;
const HEADER = "x-ha-goto-request";
const LIFE = 60; // seconds: the service asks STS with the same number

// Once: a payload that is sent again has a used proof.
const lambda = new LambdaClient({ maxAttempts: 1 });

/** The command was not carried out. `kind` is for programs, the message for a person. */
export class Refused extends Error {
  constructor(kind, sentence) {
    super(sentence);
    this.kind = kind;
  }
}

/** Nobody knows whether the command was carried out: look with `tenant_show`. */
export class NoAnswer extends Error {}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

// JSON as the service hashes it: keys sorted, a space behind comma and colon, ASCII.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const pairs = Object.keys(value).sort().map((name) => `${canonical(name)}: ${canonical(value[name])}`);
    return `{${pairs.join(", ")}}`;
  }
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Who calls: a GetCallerIdentity, signed for this command alone, which the service sends to STS. */
async function proof(command) {
  const keys = await lambda.config.credentials();
  const nonce = randomBytes(16).toString("hex");
  const bound = sha256(canonical([REGION, FUNCTION, nonce, command]));
  const date = new Date().toISOString().replace(/-|:|\.\d+/g, "");
  const scope = `${date.slice(0, 8)}/${REGION}/sts/aws4_request`;
  const host = new URL(process.env.AWS_ENDPOINT_URL_STS ?? `https://sts.${REGION}.amazonaws.com`).host;
  const query = {
    Action: "GetCallerIdentity",
    Version: "2011-06-15",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${keys.accessKeyId}/${scope}`,
    "X-Amz-Date": date,
    "X-Amz-Expires": String(LIFE),
    ...(keys.sessionToken ? { "X-Amz-Security-Token": keys.sessionToken } : {}),
    "X-Amz-SignedHeaders": `host;${HEADER}`,
  };
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const request = ["GET", "/", pairs.join("&"), `host:${host}`, `${HEADER}:${bound}`, "", `host;${HEADER}`, sha256("")];
  const text = ["AWS4-HMAC-SHA256", date, scope, sha256(request.join("\n"))].join("\n");
  const key = scope.split("/").reduce(hmac, `AWS4${keys.secretAccessKey}`);
  return {
    access_key: keys.accessKeyId,
    date,
    nonce,
    signature: hmac(key, text).toString("hex"),
    ...(keys.sessionToken ? { session_token: keys.sessionToken } : {}),
  };
}

/** Carry out one command. Throws `Refused`, `NoAnswer`. */
export async function rep(command, given = {}) {
  const asked = { command, ...given };
  const Payload = JSON.stringify({ ...asked, proof: await proof(asked) });
  let answer;
  try {
    const sent = new InvokeCommand({ FunctionName: FUNCTION, Payload });
    const told = await lambda.send(sent, { abortSignal: AbortSignal.timeout(70_000) });
    if (told.FunctionError) throw new NoAnswer("the function failed; its log says why");
    answer = JSON.parse(Buffer.from(told.Payload).toString());
  } catch (error) {
    throw error instanceof NoAnswer ? error : new NoAnswer(error.name);
  }
  if (!answer.ok) throw new Refused(answer.kind, answer.error);
  return answer;
}

/** Adds a tenant; one that is there already is shown instead, so this may be repeated. */
export async function add(tenant, admin_email, display_name) {
  try {
    return await rep("tenant_add", { tenant, admin_email, display_name });
  } catch (error) {
    if (error.kind !== "tenant_exists") throw error;
    return rep("tenant_show", { tenant });
  }
}

async function main(word, tenant, ...more) {
  if (word === "add") {
    const { redirect_uri } = await add(tenant, ...more);
    return { tenant, redirect_uri };
  }
  if (word === "client") {
    const [client_id, client_secret] = readFileSync(0, "utf8").split("\n");
    const { tenant: stored } = await rep("credentials_set", { tenant, client_id, client_secret });
    return { tenant: stored };
  }
  if (word === "link") {
    const { url, expires_at } = await rep("link_create", { tenant });
    return { url: url.replace(/[^/]+$/, "..."), expires_at }; // whoever has it acts as the admin
  }
  const { state, next_action } = await rep("tenant_show", { tenant });
  return { state, next_action };
}

if (process.argv[1]?.endsWith("rep.mjs")) {
  try {
    console.log(JSON.stringify(await main(...process.argv.slice(2))));
  } catch (error) {
    const refused = error instanceof Refused;
    if (!refused && !(error instanceof NoAnswer)) throw error;
    console.log(JSON.stringify(refused ? { refused: error.kind, error: error.message } : { no_answer: error.message }));
    process.exitCode = refused && error.kind !== "unavailable" ? 2 : 1;
  }
}
