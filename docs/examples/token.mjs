// A live GoTo access token in Node.js, by the contract of docs/contract.md. Needs
// @aws-sdk/client-dynamodb and @aws-sdk/client-lambda. As a program it prints no token:
//   TOKENS_TABLE=... REFRESH_NOW=... node token.mjs acme [rejected|forbidden VERSION]
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const CLOCK_ERROR = 300; // seconds by which this clock and the service's may differ
const LONGEST_MINIMUM = 1800; // seconds of life that may be asked for
const ENDED = ["reauthorization_required", "credentials_rejected"]; // asking changes nothing
const CONFIRMED = ["refreshed", "alive"]; // the service's clock has found it alive

const dynamodb = new DynamoDBClient({});
const lambda = new LambdaClient({ maxAttempts: 1 });

export class NoToken extends Error {
  constructor(tenant, why, retryAfter = null) {
    super(`${tenant}: ${why}`);
    Object.assign(this, { tenant, why, retryAfter });
  }
}

async function read(tenant, ConsistentRead) {
  const { Item } = await dynamodb.send(
    new GetItemCommand({
      TableName: process.env.TOKENS_TABLE,
      Key: { tenant: { S: tenant } },
      ConsistentRead,
    }),
  );
  if (Item && Item.tenant?.S !== tenant) throw new NoToken(tenant, "another_tenants_item");
  if (!Item || Item.status?.S === "disconnected") throw new NoToken(tenant, "not_connected");
  if (Item.schema?.N !== "1") throw new NoToken(tenant, "unknown_schema");
  return {
    status: Item.status.S,
    value: Item.access_token?.S,
    expiresAt: Number(Item.expires_at?.N ?? 0),
    version: Number(Item.version?.N ?? 0),
    usable: Item.usable?.S ?? "unknown",
  };
}

function isUsable(item, rejectedVersion) {
  return Boolean(item.value) && item.version > rejectedVersion;
}

// Whether it lives so many seconds more even if this clock is slow.
function lives(item, seconds, rejectedVersion) {
  const left = item.expiresAt - Date.now() / 1000;
  return isUsable(item, rejectedVersion) && left > seconds + CLOCK_ERROR;
}

async function refreshNow(request) {
  try {
    const answer = await lambda.send(
      new InvokeCommand({ FunctionName: process.env.REFRESH_NOW, Payload: JSON.stringify(request) }),
    );
    if (answer.FunctionError) return { outcome: "later", retry_after: 2 };
    return JSON.parse(Buffer.from(answer.Payload).toString());
  } catch {
    return { outcome: "later", retry_after: 2 }; // throttled, refused, no answer
  }
}

/** A token that lives `minValidSeconds`; after a 401 give the rejected token's version. */
export async function accessToken(tenant, { minValidSeconds = 60, rejectedVersion = 0 } = {}) {
  let item = await read(tenant, rejectedVersion > 0);
  if (item.status !== "degraded" && lives(item, minValidSeconds, rejectedVersion)) return item;
  if (ENDED.includes(item.status)) {
    if (lives(item, 0, rejectedVersion)) return item;
    throw new NoToken(tenant, item.status);
  }
  const wish = isUsable(item, rejectedVersion)
    ? { min_valid_seconds: Math.min(minValidSeconds + CLOCK_ERROR, LONGEST_MINIMUM) }
    : { rejected_version: item.version };
  const answer = await refreshNow({ tenant, ...wish });
  item = await read(tenant, true);
  const confirmed = CONFIRMED.includes(answer.outcome) && item.version >= answer.version;
  if (confirmed && isUsable(item, rejectedVersion)) return item;
  if (lives(item, 0, rejectedVersion)) return item; // it lives shorter than was asked for
  throw new NoToken(tenant, answer.outcome, answer.retry_after ?? null);
}

/** After a 403 that is not `InvalidToken`: what the connection may still do. Once in 5 minutes. */
export async function usableAfterForbidden(tenant, version) {
  await refreshNow({ tenant, forbidden_version: version });
  return (await read(tenant, true)).usable;
}

if (process.argv[1]?.endsWith("token.mjs")) {
  const [tenant, word, number] = process.argv.slice(2);
  try {
    if (word === "forbidden") {
      console.log(JSON.stringify({ usable: await usableAfterForbidden(tenant, Number(number)) }));
    } else {
      const rejectedVersion = word === "rejected" ? Number(number) : 0;
      const { version, expiresAt } = await accessToken(tenant, { rejectedVersion });
      console.log(JSON.stringify({ version, expires_at: expiresAt }));
    }
  } catch (error) {
    if (!(error instanceof NoToken)) throw error;
    console.log(JSON.stringify({ no_token: error.why, retry_after: error.retryAfter }));
    process.exitCode = 1;
  }
}
