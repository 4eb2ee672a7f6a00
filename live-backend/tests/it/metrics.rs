//! `GET /metrics` is OpenMetrics text on every listener, and tells what happened.

use crate::harness::{Backend, Folder, until};
use crate::services::Redis;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::collections::BTreeSet;

pub(crate) async fn metrics(url: &str) -> String {
    let request = Request::get(format!("{url}/metrics"))
        .body(Empty::<Bytes>::new())
        .expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().expect("text");
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let body = answer.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}

/// Checks the rules of the format; gives the families.
fn families(text: &str) -> BTreeSet<String> {
    let body = text.strip_suffix("# EOF\n").expect("the last line");
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, of) = declared.split_once(' ').expect("a name and a type");
            assert!(families.insert(name.to_owned()), "{name} stands together");
            (family, kind) = (name.to_owned(), of.to_owned());
            continue;
        }
        if let Some(unit) = line.strip_prefix("# UNIT ") {
            let (_, unit) = unit.split_once(' ').expect("a name and a unit");
            assert!(family.ends_with(&format!("_{unit}")), "{line}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
        let name = sample.split('{').next().expect("a name");
        let ending = name.strip_prefix(&family).expect("it is of its family");
        let endings: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "info" => &["_info"],
            "summary" => &["", "_count", "_sum"],
            _ => &[""],
        };
        assert!(endings.contains(&ending), "{line} in a {kind}");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
    }
    families
}

#[tokio::test]
async fn monitoring_systems_can_read_every_listener() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    backend.user("ada").await;
    let urls = backend.ready()["urls"].as_object().expect("a map").clone();
    assert_eq!(urls.len(), 5);
    let mut seen = BTreeSet::new();
    for url in urls.values() {
        let text = metrics(url.as_str().expect("a URL")).await;
        seen.insert(families(&text));
    }
    assert_eq!(seen.len(), 1, "every listener tells the same families");
    let answered = || async {
        let text = metrics(backend.http.base()).await;
        text.contains("flowreel_requests_begun_total 2\n")
            .then_some(text)
    };
    let text = crate::harness::until("both requests to be counted", answered).await;
    assert!(
        text.contains("flowreel_component_arrivals_total{component=\"balancer\"} 2\n"),
        "{text}"
    );
}

#[tokio::test]
async fn monitoring_goes_on_while_redis_is_away() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let look = async |is_up: bool, word: &str| {
        until(&format!("the system to be {word}"), async || {
            let text = metrics(backend.http.base()).await;
            families(&text);
            let line = format!("flowreel_queues_up {}\n", u8::from(is_up));
            let has_figures = text.contains("flowreel_queue_jobs{");
            let status = backend.status().await;
            let is_all = text.contains(&line)
                && has_figures == is_up
                && status["jobs"].is_array() == is_up
                && status["metrics"]["systemStatus"] == word;
            is_all.then_some(())
        })
        .await;
    };
    look(true, "healthy").await;
    redis.kill();
    look(false, "critical").await;
    redis.restart().await;
    look(true, "healthy").await;
}
