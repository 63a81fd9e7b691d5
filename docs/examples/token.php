<?php
// A live GoTo access token in PHP, by the contract of docs/contract.md. Needs PHP 8.1 and its curl,
// which signs the requests; with AWS's SDK for PHP, replace `aws()`. As a program it prints no token:
//   TOKENS_TABLE=... REFRESH_NOW=... php token.php acme [rejected|forbidden VERSION]
declare(strict_types=1);

const CLOCK_ERROR = 300; // seconds by which this clock and the service's may differ
const LONGEST_MINIMUM = 1800; // seconds of life that may be asked for
const ENDED = ["reauthorization_required", "credentials_rejected"]; // asking changes nothing
const CONFIRMED = ["refreshed", "alive"]; // the service's clock has found it alive

final class NoToken extends Exception
{
    public function __construct(string $tenant, public string $why, public ?int $retryAfter = null)
    {
        parent::__construct("$tenant: $why");
    }
}

final class AwsFailed extends Exception
{
}

/** One signed request to AWS. The keys are those of the environment. */
function aws(string $service, string $path, string $body, array $headers, int $seconds): array
{
    $region = getenv("AWS_REGION");
    $base = getenv("AWS_ENDPOINT_URL_" . strtoupper($service)) ?: "https://$service.$region.amazonaws.com";
    if (getenv("AWS_SESSION_TOKEN")) {
        $headers[] = "X-Amz-Security-Token: " . getenv("AWS_SESSION_TOKEN");
    }
    $curl = curl_init($base . $path);
    curl_setopt_array($curl, [
        CURLOPT_AWS_SIGV4 => "aws:amz:$region:$service",
        CURLOPT_USERPWD => getenv("AWS_ACCESS_KEY_ID") . ":" . getenv("AWS_SECRET_ACCESS_KEY"),
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 2,
        CURLOPT_TIMEOUT => $seconds,
    ]);
    $functionError = false;
    curl_setopt($curl, CURLOPT_HEADERFUNCTION, function ($_, string $line) use (&$functionError): int {
        $functionError = $functionError || stripos($line, "X-Amz-Function-Error:") === 0;
        return strlen($line);
    });
    $answer = curl_exec($curl);
    $read = is_string($answer) ? json_decode($answer, true) : null;
    if ($functionError || curl_getinfo($curl, CURLINFO_RESPONSE_CODE) !== 200 || !is_array($read)) {
        throw new AwsFailed("$service did not answer");
    }
    return $read;
}

function readItem(string $tenant, bool $consistent): array
{
    $request = [
        "TableName" => getenv("TOKENS_TABLE"),
        "Key" => ["tenant" => ["S" => $tenant]],
        "ConsistentRead" => $consistent,
    ];
    $headers = ["Content-Type: application/x-amz-json-1.0", "X-Amz-Target: DynamoDB_20120810.GetItem"];
    try {
        $item = aws("dynamodb", "/", json_encode($request), $headers, 5)["Item"] ?? null;
    } catch (AwsFailed) {
        throw new NoToken($tenant, "unavailable", 5);
    }
    if ($item !== null && ($item["tenant"]["S"] ?? null) !== $tenant) {
        throw new NoToken($tenant, "another_tenants_item");
    }
    if ($item === null || ($item["status"]["S"] ?? "") === "disconnected") {
        throw new NoToken($tenant, "not_connected");
    }
    if (($item["schema"]["N"] ?? "") !== "1") {
        throw new NoToken($tenant, "unknown_schema");
    }
    return [
        "status" => $item["status"]["S"],
        "value" => $item["access_token"]["S"] ?? "",
        "expiresAt" => (int) ($item["expires_at"]["N"] ?? 0),
        "version" => (int) ($item["version"]["N"] ?? 0),
        "usable" => $item["usable"]["S"] ?? "unknown",
    ];
}

function isUsable(array $item, int $rejectedVersion): bool
{
    return $item["value"] !== "" && $item["version"] > $rejectedVersion;
}

/** Whether it lives so many seconds more even if this clock is slow. */
function lives(array $item, int $seconds, int $rejectedVersion): bool
{
    return isUsable($item, $rejectedVersion) && $item["expiresAt"] - time() > $seconds + CLOCK_ERROR;
}

function refreshNow(array $request): array
{
    $path = "/2015-03-31/functions/" . rawurlencode((string) getenv("REFRESH_NOW")) . "/invocations";
    try {
        return aws("lambda", $path, json_encode($request), ["Content-Type: application/json"], 60);
    } catch (AwsFailed) {
        return ["outcome" => "later", "retry_after" => 2]; // throttled, refused, no answer
    }
}

/** A token that lives $minValid seconds; after a 401 give the rejected token's version. */
function accessToken(string $tenant, int $minValid = 60, int $rejectedVersion = 0): array
{
    $item = readItem($tenant, $rejectedVersion > 0);
    if ($item["status"] !== "degraded" && lives($item, $minValid, $rejectedVersion)) {
        return $item;
    }
    if (in_array($item["status"], ENDED, true)) {
        if (lives($item, 0, $rejectedVersion)) {
            return $item;
        }
        throw new NoToken($tenant, $item["status"]);
    }
    $wish = isUsable($item, $rejectedVersion)
        ? ["min_valid_seconds" => min($minValid + CLOCK_ERROR, LONGEST_MINIMUM)]
        : ["rejected_version" => $item["version"]];
    $answer = refreshNow(["tenant" => $tenant] + $wish);
    $item = readItem($tenant, true);
    $confirmed = in_array($answer["outcome"], CONFIRMED, true) && $item["version"] >= $answer["version"];
    if (($confirmed && isUsable($item, $rejectedVersion)) || lives($item, 0, $rejectedVersion)) {
        return $item; // perhaps it lives shorter than was asked for
    }
    throw new NoToken($tenant, $answer["outcome"], $answer["retry_after"] ?? null);
}

/** After a 403 that is not `InvalidToken`: what the connection may still do. Once in 5 minutes. */
function usableAfterForbidden(string $tenant, int $version): string
{
    refreshNow(["tenant" => $tenant, "forbidden_version" => $version]);
    return readItem($tenant, true)["usable"];
}

if (realpath($argv[0] ?? "") === __FILE__) {
    [, $tenant, $word, $number] = $argv + [null, "", "", "0"];
    try {
        if ($word === "forbidden") {
            echo json_encode(["usable" => usableAfterForbidden($tenant, (int) $number)]), "\n";
        } else {
            $item = accessToken($tenant, rejectedVersion: $word === "rejected" ? (int) $number : 0);
            echo json_encode(["version" => $item["version"], "expires_at" => $item["expiresAt"]]), "\n";
        }
    } catch (NoToken $error) {
        echo json_encode(["no_token" => $error->why, "retry_after" => $error->retryAfter]), "\n";
        exit(1);
    }
}
