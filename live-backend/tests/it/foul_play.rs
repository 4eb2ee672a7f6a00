//! HTTP that tries to be read two ways, to wait for ever, to be too much: refused, and others are served.

use crate::harness::{Backend, Folder, sound_reel, until};
use crate::raw::{Raw, exchange, request, status};
use serde_json::json;

async fn still_serves(backend: &Backend) {
    let (status, _body) = backend
        .http
        .get("/api/health", None)
        .await
        .expect("an answer");
    assert_eq!(status, 200);
}

#[tokio::test]
async fn requests_with_two_meanings_are_refused_or_read_in_one_way_only() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let base = backend.http.base().to_owned();
    let smuggled = "GET /api/signups/statistics HTTP/1.1\r\nhost: a\r\n\r\n";
    // Both lengths: the chunks count (RFC 9112, 6.3), what follows is never read as a request.
    for both in [
        format!(
            "POST /api/logins HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
            smuggled.len() + 5
        ),
        format!(
            "POST /api/logins HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{smuggled}",
            smuggled.len() + 5
        ),
    ] {
        let answer = exchange(&base, &both).await;
        assert_eq!(status(&answer), 400, "{answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "one request, one answer: {answer}"
        );
    }
    for (what, head) in [
        (
            "two lengths",
            "content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        ),
        ("a list of lengths", "content-length: 5, 6\r\n\r\nhello"),
        ("a signed length", "content-length: +5\r\n\r\nhello"),
        ("a negative length", "content-length: -5\r\n\r\nhello"),
        (
            "chunks not last",
            "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "unknown coding",
            "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a bad chunk size",
            "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "a huge chunk size",
            "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        ("a folded header", "x-a: b\r\n c\r\n\r\n"),
        ("a space before the colon", "x-a : b\r\n\r\n"),
        ("a NUL in a header", "x-a: b\0c\r\n\r\n"),
        ("a second host", "host: b\r\n\r\n"),
    ] {
        let text = format!("POST /api/logins HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}");
        let answer = exchange(&base, &text).await;
        assert_eq!(status(&answer), 400, "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
    }
    for (what, text, expected) in [
        (
            "no host",
            "GET /api/health HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
            400,
        ),
        ("TRACE", request("TRACE /api/health", "", ""), 405),
        (
            "CONNECT",
            "CONNECT a:1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(),
            405,
        ),
        ("no HTTP", "nonsense\r\n\r\n".to_owned(), 400),
        (
            "a long head",
            request(
                "GET /api/health",
                &format!("x-a: {}\r\n", "a".repeat(64 << 10)),
                "",
            ),
            431,
        ),
        (
            "many headers",
            request("GET /api/health", &"x-a: b\r\n".repeat(300), ""),
            431,
        ),
        (
            "a long address",
            request(&format!("GET /{}", "a".repeat(9000)), "", ""),
            414,
        ),
    ] {
        let answer = exchange(&base, &text).await;
        assert_eq!(status(&answer), expected, "{what}: {answer}");
    }
    still_serves(&backend).await;
    sound_reel(&backend.stop());
}

#[tokio::test]
async fn headers_of_one_hop_and_of_balancers_do_not_reach_a_server() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    // Were it believed, a client could get rid of the length or of its credentials at the balancer.
    let headers = "x-forwarded-for: 1.2.3.4\r\nx-request-id: mine\r\nx-flowreel-part: 1-login-0-1\r\nx-flowreel-hop: guess\r\n";
    let answer = exchange(backend.http.base(), request("GET /api/health", headers, "")).await;
    assert_eq!(status(&answer), 200);
    assert!(!answer.contains("x-request-id: mine"), "{answer}");
    let token = format!("authorization: Bearer {}\r\n", backend.admin_token);
    let hop = request("GET /api/signups", &token, "")
        .replace("connection: close", "connection: close, authorization");
    assert_eq!(
        status(&exchange(backend.http.base(), hop).await),
        401,
        "what Connection names ends here"
    );
}

#[tokio::test]
async fn paths_mean_one_thing() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    for (path, expected) in [
        ("/api//signups", 404),
        ("/api/signups/", 404),
        ("//api/signups", 404),
        ("/api/x/../signups", 404),
        ("/api/%2e%2e/api/signups", 404),
        ("/api%2fsignups", 404),
        ("/API/signups", 404),
        ("/api/signups;x=1", 404),
        ("/api/session/%2e%2e%2fsignups", 401),
        ("/api/signups/verify/..%2f..%2fhealth", 405),
        ("/api/logins?page=1&page=2", 401),
        ("/api/session/%ff", 401),
    ] {
        let answer = exchange(backend.http.base(), request(&format!("GET {path}"), "", "")).await;
        assert_eq!(status(&answer), expected, "{path}: {answer}");
        assert!(answer.contains(r#"{"error":{"code":""#), "{path}: {answer}");
    }
    let token = format!("authorization: Bearer {}\r\n", backend.admin_token);
    for (path, field) in [
        ("/api/session/%ff", None),
        ("/api/session/..", None),
        ("/api/session/1%00", None),
        ("/api/session/-1", None),
        ("/api/logins?page=0", Some("page")),
        ("/api/logins?limit=101", Some("limit")),
        ("/api/logins?limit=1e1", Some("limit")),
        ("/api/logins?page=1&page=2", None),
        ("/api/notifications/1?channel=fax", Some("channel")),
    ] {
        let answer = exchange(
            backend.http.base(),
            request(&format!("GET {path}"), &token, ""),
        )
        .await;
        assert_eq!(status(&answer), 400, "{path}: {answer}");
        assert!(answer.contains(r#"{"error":{"code":""#), "{path}: {answer}");
        if let Some(field) = field {
            assert!(
                answer.contains(&format!(r#""field":"{field}""#)),
                "{path}: {answer}"
            );
        }
    }
    let answer = exchange(backend.http.base(), request("PATCH /api/signups", "", "")).await;
    assert_eq!(status(&answer), 405);
    let allow = answer
        .lines()
        .find(|line| line.starts_with("allow: "))
        .expect("what it takes");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn bodies_that_are_wrong_name_what_is_wrong() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let good = r#""username":"ada","email":"ada@people.example","password":"correct horse 1""#;
    let deep = format!("{{{good},\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    for (body, field) in [
        (format!("{{{good},\"isAdmin\":true}}"), Some("isAdmin")),
        (format!("{{{good},\"username\":\"eve\"}}"), None),
        (deep, None),
        (format!("{{{good}}} trailing"), None),
        (r#"{"username":5,"email":"a@b.example","password":"correct horse 1"}"#.to_owned(), Some("username")),
        (r#"{"username":"a\u0000","email":"a@b.example","password":"correct horse 1"}"#.to_owned(), Some("username")),
        (r#"{"username":"a\r\nBcc: x@y.example","email":"a@b.example","password":"correct horse 1"}"#.to_owned(), Some("username")),
        (r#"{"username":"a","email":"a@b.example\r\nBcc: x@y.example","password":"correct horse 1"}"#.to_owned(), Some("email")),
        (r#"{"username":"a","email":["a@b.example"],"password":"correct horse 1"}"#.to_owned(), Some("email")),
        (r#"{"username":"a","email":"a@b.example","password":"short"}"#.to_owned(), Some("password")),
        (format!(r#"{{"username":"a","email":"a@b.example","password":"{}"}}"#, "p".repeat(257)), Some("password")),
        (r#"{"username":NaN}"#.to_owned(), None),
        ("null".to_owned(), None),
    ] {
        let answer = exchange(backend.http.base(), request("POST /api/signups", "", &body)).await;
        let shown: String = body.chars().take(90).collect();
        assert_eq!(status(&answer), 400, "{shown}: {answer}");
        match field {
            Some(field) => assert!(answer.contains(&format!(r#""field":"{field}""#)), "{shown}: {answer}"),
            None => assert!(answer.contains(r#""code":"invalid_json""#), "{shown}: {answer}"),
        }
    }
    let invalid = [request("POST /api/signups", "", "{\"username\":\"??\"}")
        .replace("??", "@@")
        .into_bytes()]
    .concat()
    .into_iter()
    .map(|byte| if byte == b'@' { 0xff } else { byte })
    .collect::<Vec<u8>>();
    let answer = exchange(backend.http.base(), invalid).await;
    assert_eq!(status(&answer), 400, "{answer}");
    let plain = request("POST /api/signups", "", "{}").replace("application/json", "text/plain");
    assert_eq!(status(&exchange(backend.http.base(), plain).await), 415);
    let users = backend
        .http
        .get("/api/signups", Some(&backend.admin_token))
        .await
        .unwrap()
        .1;
    assert_eq!(users["total"], 0, "nobody signed up by any of these");
}

#[tokio::test]
async fn a_body_in_tiny_pieces_takes_no_more_room_than_its_bytes() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    // As many pieces as the room of all bodies has units, and some.
    let mut text = request("POST /api/logins", "transfer-encoding: chunked\r\n", "");
    text.push_str(&"1\r\n \r\n".repeat(70_000));
    text.push_str("0\r\n\r\n");
    let text = text.replace(
        "\r\nconnection",
        "\r\ncontent-type: application/json\r\nconnection",
    );
    let answer = exchange(backend.http.base(), &text).await;
    assert_eq!(status(&answer), 413, "the server's own limit: {answer}");
    still_serves(&backend).await;
}

#[tokio::test]
async fn slow_heads_are_cut_off_and_thousands_of_silent_connections_hinder_nobody() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let mut slow = Raw::connect(backend.http.base()).await;
    slow.send("GET /api/health HTTP/1.1\r\nhost: a\r\nx-slow: ")
        .await;
    let mut silent = Vec::new();
    for number in 0..4000 {
        // A machine may allow fewer files than that; what it allows is used up then.
        let Ok(stream) =
            tokio::net::TcpStream::connect(backend.http.base().trim_start_matches("http://")).await
        else {
            assert!(number > 200, "only {number} connections");
            break;
        };
        silent.push(stream);
        if number % 500 == 0 {
            still_serves(&backend).await;
        }
    }
    still_serves(&backend).await;
    let user = backend.user("ada").await;
    assert!(user["sessionToken"].is_string());
    let rest = slow.rest().await;
    assert!(rest.is_empty() || status(&rest) == 408, "{rest}");
    drop(silent);
    until("the server to be well", async || {
        let (status, _) = backend.http.get("/api/health", None).await.ok()?;
        (status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_answer_is_protected_and_says_who_gave_it() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let gateway = backend.ready()["urls"]["gateway"]
        .as_str()
        .unwrap()
        .to_owned();
    let server = backend.ready()["urls"]["server-2"]
        .as_str()
        .unwrap()
        .to_owned();
    let base = backend.http.base().to_owned();
    let body = json!({"email": "nobody@people.example", "password": "wrong"}).to_string();
    for (url, text) in [
        (&base, request("GET /api/health", "", "")),
        (&base, request("GET /nothing", "", "")),
        (&base, request("POST /api/logins", "", &body)),
        (&base, request("TRACE /", "", "")),
        (&base, request("GET /metrics", "", "")),
        (
            &base,
            request("GET /socket.io/?EIO=4&transport=polling", "", ""),
        ),
        (&server, request("GET /api/health", "", "")),
        (&gateway, request("GET /health", "", "")),
        (&gateway, request("GET /nothing", "", "")),
    ] {
        let answer = exchange(url, &text).await;
        let line = text.lines().next().unwrap();
        for header in [
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "x-request-id: ",
            "x-server: ",
        ] {
            let is_socket = line.contains("socket.io");
            let is_there = answer.contains(header) || (is_socket && header == "x-server: ");
            assert!(is_there, "{header} of {line}: {answer}");
        }
    }
    let answer = exchange(&server, request("GET /api/health", "", "")).await;
    assert!(answer.contains("x-server: server-2"), "{answer}");
}

#[tokio::test]
async fn pages_of_other_origins_get_no_leave() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    for (origin, is_allowed) in [
        ("http://localhost:3000", true),
        ("http://localhost:3003", true),
        ("http://localhost:3001", false),
        ("https://localhost:3000", false),
        ("http://localhost:3000.evil.example", false),
        ("null", false),
    ] {
        let preflight = format!("origin: {origin}\r\naccess-control-request-method: POST\r\n");
        for (line, headers) in [
            ("GET /api/health", format!("origin: {origin}\r\n")),
            ("OPTIONS /api/logins", preflight.clone()),
            (
                "GET /socket.io/?EIO=4&transport=polling",
                format!("origin: {origin}\r\n"),
            ),
        ] {
            let answer = exchange(backend.http.base(), request(line, &headers, "")).await;
            let allowed = format!("access-control-allow-origin: {origin}\r\n");
            assert_eq!(
                answer.contains(&allowed),
                is_allowed,
                "{line} from {origin}: {answer}"
            );
            assert_eq!(
                answer.contains("access-control-allow-credentials: true"),
                is_allowed
            );
            assert!(answer.contains("vary: origin"), "{answer}");
        }
    }
}
