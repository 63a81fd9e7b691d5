<?php
// A back office that onboards tenants, in PHP, by docs/rep-contract.md. Needs PHP 8.1 and its curl,
// which signs the call; the keys are those of the environment. As a program it prints no secret, and
// no link whole:
//   HA_GOTO_STAGE=... AWS_REGION=... php rep.php add acme admin@acme.example "Acme Inc."
//   php rep.php client acme < two lines: client ID, client secret
//   php rep.php link acme; php rep.php show acme
declare(strict_types=1);

const HEADER = "x-ha-goto-request";
const LIFE = 60; // seconds: the service asks STS with the same number

/** The command was not carried out. `$kind` is for programs, the message for a person. */
final class Refused extends Exception
{
    public function __construct(public string $kind, string $sentence)
    {
        parent::__construct($sentence);
    }
}

/** Nobody knows whether the command was carried out: look with `tenant_show`. */
final class NoAnswer extends Exception
{
}

/** JSON as the service hashes it: keys sorted, a space behind comma and colon, ASCII. */
function canonical(mixed $value): string
{
    if (is_array($value) && array_is_list($value)) {
        return "[" . implode(", ", array_map("canonical", $value)) . "]";
    }
    if (is_array($value)) {
        ksort($value, SORT_STRING);
        $pair = fn($name, $each) => canonical((string) $name) . ": " . canonical($each);
        return "{" . implode(", ", array_map($pair, array_keys($value), $value)) . "}";
    }
    return str_replace("\x7f", '\u007f', json_encode($value, JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR));
}

/** Who calls: a GetCallerIdentity, signed for this command alone, which the service sends to STS. */
function proof(string $region, string $function, #[SensitiveParameter] array $command): array
{
    $nonce = bin2hex(random_bytes(16));
    $bound = hash("sha256", canonical([$region, $function, $nonce, $command]));
    $date = gmdate("Ymd\THis\Z");
    $scope = substr($date, 0, 8) . "/$region/sts/aws4_request";
    $host = preg_replace("~^https?://~", "", getenv("AWS_ENDPOINT_URL_STS") ?: "sts.$region.amazonaws.com");
    $token = getenv("AWS_SESSION_TOKEN") ?: null;
    $query = array_filter([
        "Action" => "GetCallerIdentity",
        "Version" => "2011-06-15",
        "X-Amz-Algorithm" => "AWS4-HMAC-SHA256",
        "X-Amz-Credential" => getenv("AWS_ACCESS_KEY_ID") . "/$scope",
        "X-Amz-Date" => $date,
        "X-Amz-Expires" => (string) LIFE,
        "X-Amz-Security-Token" => $token,
        "X-Amz-SignedHeaders" => "host;" . HEADER,
    ]);
    $request = ["GET", "/", http_build_query($query, "", "&", PHP_QUERY_RFC3986), "host:$host"];
    array_push($request, HEADER . ":$bound", "", "host;" . HEADER, hash("sha256", ""));
    $text = "AWS4-HMAC-SHA256\n$date\n$scope\n" . hash("sha256", implode("\n", $request));
    $key = "AWS4" . getenv("AWS_SECRET_ACCESS_KEY");
    foreach (explode("/", $scope) as $part) {
        $key = hash_hmac("sha256", $part, $key, true);
    }
    return array_filter([
        "access_key" => getenv("AWS_ACCESS_KEY_ID"),
        "date" => $date,
        "nonce" => $nonce,
        "signature" => hash_hmac("sha256", $text, $key),
        "session_token" => $token,
    ]);
}

/** One invocation, sent once: a payload that is sent again has a used proof. */
function invoke(string $region, string $function, #[SensitiveParameter] array $payload): array
{
    $base = getenv("AWS_ENDPOINT_URL_LAMBDA") ?: "https://lambda.$region.amazonaws.com";
    $headers = ["Content-Type: application/json"];
    if (getenv("AWS_SESSION_TOKEN")) {
        $headers[] = "X-Amz-Security-Token: " . getenv("AWS_SESSION_TOKEN");
    }
    $curl = curl_init("$base/2015-03-31/functions/$function/invocations");
    $failed = false;
    curl_setopt_array($curl, [
        CURLOPT_AWS_SIGV4 => "aws:amz:$region:lambda",
        CURLOPT_USERPWD => getenv("AWS_ACCESS_KEY_ID") . ":" . getenv("AWS_SECRET_ACCESS_KEY"),
        CURLOPT_POSTFIELDS => json_encode($payload, JSON_THROW_ON_ERROR),
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 5,
        CURLOPT_TIMEOUT => 70,
        CURLOPT_HEADERFUNCTION => function ($_, string $line) use (&$failed): int {
            $failed = $failed || stripos($line, "X-Amz-Function-Error:") === 0;
            return strlen($line);
        },
    ]);
    $told = curl_exec($curl);
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    $answer = is_string($told) && $status === 200 ? json_decode($told, true) : null;
    if ($failed || !is_array($answer)) {
        throw new NoAnswer($failed ? "the function failed; its log says why" : "Lambda answered $status");
    }
    return $answer;
}

/** Carry out one command. Throws `Refused`, `NoAnswer`. */
function rep(string $command, #[SensitiveParameter] array $given = []): array
{
    $region = (string) getenv("AWS_REGION");
    $function = "ha-goto-" . getenv("HA_GOTO_STAGE") . "-rep-command";
    $asked = ["command" => $command] + $given;
    $answer = invoke($region, $function, $asked + ["proof" => proof($region, $function, $asked)]);
    if (($answer["ok"] ?? false) !== true) {
        throw new Refused($answer["kind"] ?? "", $answer["error"] ?? "");
    }
    return $answer;
}

/** Adds a tenant; one that is there already is shown instead, so this may be repeated. */
function add(string $tenant, string $adminEmail, string $displayName): array
{
    try {
        $given = ["tenant" => $tenant, "admin_email" => $adminEmail, "display_name" => $displayName];
        return rep("tenant_add", $given);
    } catch (Refused $refused) {
        if ($refused->kind !== "tenant_exists") {
            throw $refused;
        }
        return rep("tenant_show", ["tenant" => $tenant]);
    }
}

function main(string $word, string $tenant, string ...$more): array
{
    if ($word === "add") {
        return ["tenant" => $tenant, "redirect_uri" => add($tenant, ...$more)["redirect_uri"]];
    }
    if ($word === "client") {
        [$id, $secret] = explode("\n", stream_get_contents(STDIN)) + ["", ""];
        $client = ["client_id" => $id, "client_secret" => $secret];
        return ["tenant" => rep("credentials_set", ["tenant" => $tenant] + $client)["tenant"]];
    }
    if ($word === "link") {
        $made = rep("link_create", ["tenant" => $tenant]); // whoever has its address acts as the admin
        return ["url" => preg_replace("~[^/]+$~", "...", $made["url"]), "expires_at" => $made["expires_at"]];
    }
    $shown = rep("tenant_show", ["tenant" => $tenant]);
    return ["state" => $shown["state"], "next_action" => $shown["next_action"]];
}

if (realpath($argv[0] ?? "") === __FILE__) {
    try {
        echo json_encode(main(...array_slice($argv, 1)), JSON_UNESCAPED_SLASHES), "\n";
    } catch (Refused $refused) {
        echo json_encode(["refused" => $refused->kind, "error" => $refused->getMessage()]), "\n";
        exit($refused->kind === "unavailable" ? 1 : 2);
    } catch (NoAnswer $error) {
        echo json_encode(["no_answer" => $error->getMessage()]), "\n";
        exit(1);
    }
}
