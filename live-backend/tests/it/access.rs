//! Who may call what: every route, with and without tokens, against a table written down here.

use crate::harness::{Backend, Folder};
use crate::raw::{Raw, bearer, request, status};
use serde_json::Value;
use std::collections::BTreeSet;

/// Method, address, and the status for nobody, another user, the owner, an administrator.
///
/// `OWNER` in an address is the owner's number. Bodies are `{}`, so 400 means: was let through.
const EXPECTED: &[(&str, &str, [u16; 4])] = &[
    ("POST", "/api/signups", [400, 400, 400, 400]),
    ("GET", "/api/signups", [401, 403, 403, 200]),
    ("GET", "/api/signups/statistics", [401, 403, 403, 200]),
    (
        "GET",
        "/api/signups/welcome-emails/failed",
        [401, 403, 403, 200],
    ),
    ("POST", "/api/signups/verify/{token}", [400, 400, 400, 400]),
    (
        "GET",
        "/api/signups/{user_id}/welcome-email-status",
        [401, 403, 200, 200],
    ),
    ("POST", "/api/logins", [400, 400, 400, 400]),
    ("GET", "/api/logins", [401, 200, 200, 200]),
    (
        "GET",
        "/api/logins/alert-emails/failed",
        [401, 403, 403, 200],
    ),
    ("POST", "/api/session", [400, 400, 400, 400]),
    ("GET", "/api/session/{user_id}", [401, 403, 200, 200]),
    ("POST", "/api/reset-passwords", [400, 400, 400, 400]),
    ("POST", "/api/reset-password", [400, 400, 400, 400]),
    ("POST", "/api/purchases", [401, 400, 400, 403]),
    ("POST", "/api/friend-requests", [401, 400, 400, 403]),
    ("GET", "/api/notifications/{user_id}", [401, 403, 200, 200]),
    ("POST", "/api/notifications/broadcast", [401, 403, 403, 400]),
    ("PUT", "/api/users/{user_id}/role", [401, 403, 403, 400]),
    ("GET", "/api/health", [200, 200, 200, 200]),
    ("GET", "/health", [200, 200, 200, 200]),
    ("GET", "/metrics", [200, 200, 200, 200]),
    ("GET", "/openapi.json", [200, 200, 200, 200]),
    ("GET", "/api/live-view/status", [200, 403, 403, 200]),
    ("GET", "/api/live-view/history", [401, 403, 403, 400]),
    ("GET", "/api/live-view/requests", [401, 403, 403, 200]),
    ("GET", "/api/live-view/requests/{id}", [401, 403, 403, 404]),
    ("GET", "/api/live-view/control", [401, 403, 403, 200]),
    ("POST", "/api/live-view/control", [401, 403, 403, 400]),
    ("POST", "/api/live-view/simulate", [401, 403, 403, 400]),
    ("GET", "/api/live-view/reel", [200, 403, 403, 200]),
    ("GET", "/api/queues", [401, 403, 403, 200]),
    ("GET", "/api/queues/{name}", [401, 403, 403, 200]),
    ("GET", "/api/queues/{name}/jobs", [401, 403, 403, 200]),
    (
        "GET",
        "/api/queues/{name}/jobs/{job_id}",
        [401, 403, 403, 404],
    ),
    ("POST", "/api/queues/{name}/pause", [401, 403, 403, 200]),
    ("POST", "/api/queues/{name}/resume", [401, 403, 403, 200]),
    ("POST", "/api/queues/{name}/drain", [401, 403, 403, 200]),
    (
        "POST",
        "/api/queues/dlq/jobs/{job_id}/requeue",
        [401, 403, 403, 404],
    ),
    (
        "POST",
        "/api/queues/dlq/jobs/{job_id}/discard",
        [401, 403, 403, 404],
    ),
    ("POST", "/api/queues/dlq/retry-all", [401, 403, 403, 200]),
    // Last: the owner is logged out by it, and the administrator finds nothing to end.
    ("DELETE", "/api/session/{user_id}", [401, 403, 200, 404]),
];

#[tokio::test]
async fn every_route_admits_whom_it_should_and_nobody_else() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let owner = backend.user("ada").await;
    let stranger = backend.user("eve").await;
    let owner_id = owner["userId"].as_str().unwrap();
    let tokens = [
        None,
        stranger["sessionToken"].as_str(),
        owner["sessionToken"].as_str(),
        Some(backend.admin_token.as_str()),
    ];
    for (method, path, expected) in EXPECTED {
        let address = path
            .replace("{user_id}", owner_id)
            .replace("{id}", "999999999")
            .replace("{job_id}", "999999999")
            .replace("{name}", "in-app")
            .replace("{token}", "x");
        let body = if matches!(*method, "POST" | "PUT") {
            "{}"
        } else {
            ""
        };
        for (token, expected) in tokens.iter().zip(expected) {
            let line = format!("{method} {address}");
            let mut raw = Raw::connect(backend.http.base()).await;
            raw.send(request(&line, &bearer(*token), body)).await;
            let head = raw.head().await;
            let who = token.map_or("nobody", |token| token.get(..12).unwrap());
            assert_eq!(status(&head), *expected, "{line} by {who}: {head}");
            if *expected == 401 {
                assert!(head.contains("www-authenticate: Bearer"), "{line}: {head}");
            }
        }
    }
}

#[tokio::test]
async fn the_live_view_is_open_to_this_machine_and_not_to_whom_a_proxy_brings() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let server = backend.ready()["urls"]["server-1"].as_str().unwrap();
    for path in [
        "/api/live-view/status",
        "/api/live-view/reel",
        "/api/live-view/requests/9",
    ] {
        for url in [backend.http.base(), server] {
            for (proxied, token, expected) in [
                ("x-forwarded-for: 1.2.3.4\r\n", None, 401),
                ("forwarded: for=1.2.3.4\r\n", None, 401),
                (
                    "connection: x-forwarded-for\r\nx-forwarded-for: 1.2.3.4\r\n",
                    None,
                    401,
                ),
                (
                    "x-forwarded-for: 1.2.3.4\r\n",
                    Some(backend.admin_token.as_str()),
                    200,
                ),
                ("authorization: Basic eDp5\r\n", None, 401),
            ] {
                let mut raw = Raw::connect(url).await;
                let headers = format!("{proxied}{}", bearer(token));
                raw.send(request(&format!("GET {path}"), &headers, ""))
                    .await;
                let found = status(&raw.head().await);
                let is_unknown = found == 404 && path.ends_with('9');
                assert!(
                    found == expected || expected == 200 && is_unknown,
                    "{path} {proxied}: {found}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_page_whose_name_was_made_to_lead_here_reads_nothing() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let server = backend.ready()["urls"]["server-1"].as_str().unwrap();
    let admin = bearer(Some(backend.admin_token.as_str()));
    for path in ["/api/live-view/status", "/api/live-view/reel"] {
        for url in [backend.http.base(), server] {
            for (host, token, expected) in [
                ("localhost:8000", "", 200),
                ("127.0.0.1", "", 200),
                ("[::1]:8000", "", 200),
                ("evil.example", "", 401),
                ("evil.example:8000", "", 401),
                ("127.0.0.1.evil.example", "", 401),
                ("evil.example", admin.as_str(), 200),
            ] {
                let text = request(&format!("GET {path}"), token, "");
                let text = text.replace("host: 127.0.0.1\r\n", &format!("host: {host}\r\n"));
                let mut raw = Raw::connect(url).await;
                raw.send(text).await;
                assert_eq!(status(&raw.head().await), expected, "{path} at {host}");
            }
        }
    }
}

#[tokio::test]
async fn the_description_names_every_route_of_the_table_above() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let (status, document) = backend.http.get("/openapi.json", None).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.insert((method.to_ascii_uppercase(), path.clone()));
            let answers = operation["responses"].as_object().unwrap();
            assert!(
                answers.keys().any(|status| status.starts_with('2')),
                "{path}"
            );
            let security = operation["security"].as_array().unwrap();
            let is_open = security.is_empty() || security.contains(&serde_json::json!({}));
            let expected = EXPECTED
                .iter()
                .find(|(one, other, _)| one.eq_ignore_ascii_case(method) && other == path);
            let (_, _, statuses) =
                expected.unwrap_or_else(|| panic!("{method} {path} is not above"));
            assert_eq!(is_open, statuses[0] != 401, "{method} {path}");
        }
    }
    let expected: BTreeSet<_> = EXPECTED
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(described, expected, "a route is missing here or there");
    for group in [
        "signups",
        "logins",
        "session",
        "reset-passwords",
        "purchases",
        "friend-requests",
        "health",
    ] {
        let path = format!("/api/{group}");
        let is_there = described.iter().any(|(_, one)| one.starts_with(&path));
        assert!(is_there, "{group}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_ours_open_nothing() {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.user("ada").await;
    let good = ada["sessionToken"].as_str().unwrap();
    let secret = std::fs::read(folder.path().join("data/jwt-secret")).unwrap();
    let claims: Value = jsonwebtoken::dangerous::insecure_decode(good)
        .unwrap()
        .claims;
    for key in ["userId", "roles", "permissions", "exp", "iat"] {
        assert!(!claims[key].is_null(), "{key} in {claims}");
    }
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 900);
    let sign = |algorithm, secret: &[u8], claims: &Value| {
        encode(
            &Header::new(algorithm),
            claims,
            &EncodingKey::from_secret(secret),
        )
        .unwrap()
    };
    let with = |key: &str, value: Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        claims
    };
    let body = good.split('.').nth(1).unwrap();
    let iat = claims["iat"].as_u64().unwrap();
    let path = format!("/api/session/{}", ada["userId"].as_str().unwrap());
    let own = sign(Algorithm::HS256, &secret, &claims);
    assert_eq!(
        backend.http.get(&path, Some(&own)).await.unwrap().0,
        200,
        "the test signs as we do"
    );
    for (what, token) in [
        (
            "alg none",
            format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}."),
        ),
        (
            "alg None",
            format!("eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0.{body}."),
        ),
        (
            "no signature",
            format!("{}.{body}.", good.split('.').next().unwrap()),
        ),
        ("another secret", sign(Algorithm::HS256, &[1; 32], &claims)),
        ("an empty secret", sign(Algorithm::HS256, &[], &claims)),
        (
            "another algorithm",
            sign(Algorithm::HS512, &secret, &claims),
        ),
        (
            "expired",
            sign(Algorithm::HS256, &secret, &with("exp", (iat - 1).into())),
        ),
        (
            "another issuer",
            sign(Algorithm::HS256, &secret, &with("iss", "me".into())),
        ),
        (
            "no such session",
            sign(Algorithm::HS256, &secret, &with("sid", "0".into())),
        ),
        (
            "no session",
            sign(Algorithm::HS256, &secret, &with("sid", "".into())),
        ),
        (
            "a role of my own",
            sign(
                Algorithm::HS256,
                &[1; 32],
                &with("roles", serde_json::json!(["admin"])),
            ),
        ),
        (
            "a refresh token",
            ada["refreshToken"].as_str().unwrap().to_owned(),
        ),
        ("a word", "token".to_owned()),
    ] {
        let (status, answer) = backend.http.get(&path, Some(&token)).await.unwrap();
        assert_eq!(
            (status, &answer["error"]["code"]),
            (401, &"unauthorized".into()),
            "{what}"
        );
    }
}
