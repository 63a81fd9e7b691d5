<?php

// For HA's front, in PHP 7.4 or later without any package: the value of X-Visitor-Token, for one
// request that it forwards. See docs/deploying.md#who-is-at-the-door;
// tests/integration/test_fronts.py runs this file.
//
//   $request->headers->remove('X-Visitor-Token');  // whatever the visitor has sent
//   if ($person = logged_in_person()) {            // your own session
//       $token = visitor_token($key, 'https://acme.example.com', 'acme', $person->id, $person->email);
//       $request->headers->set('X-Visitor-Token', $token);
//   }

declare(strict_types=1);

/**
 * Who is logged in, signed and valid for two minutes.
 *
 * $key     from Secrets Manager: the first line of the secret that VisitorKey names
 * $origin  scheme and host of the tenant's pages, as in TenantOrigin, without a slash at its end
 * $tenant  the tenant's name in ha-goto; the person must be one of its users
 * $subject what never changes about the person in your application, such as a number
 * $email   their address: the history and the reps' mails name them by it
 */
function visitor_token(string $key, string $origin, string $tenant, string $subject, string $email): string
{
    $claims = [
        'sub' => $subject,
        'email' => $email,
        'tenant' => $tenant,
        'aud' => $origin,
        'exp' => time() + 120,
    ];
    $signed = base64url(json_encode(['alg' => 'HS256', 'typ' => 'JWT'], JSON_THROW_ON_ERROR))
        . '.' . base64url(json_encode($claims, JSON_THROW_ON_ERROR));

    return $signed . '.' . base64url(hash_hmac('sha256', $signed, $key, true));
}

function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}
