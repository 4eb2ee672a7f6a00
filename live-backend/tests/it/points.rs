//! The collection points of a request at its server and of its calls to the database, live and in the reel.

use crate::harness::{Backend, Folder, sound_reel, until};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::recording::ReelReader;
use flowreel_live_backend::telemetry::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Those beside the end of the visit, in their order.
const LAYERS: [&str; 4] = [
    "middlewareStart",
    "middlewareEnd",
    "controllerStart",
    "controllerEnd",
];

/// Wall times in ms, as the live view tells them, and the documents of all calls to the database.
#[derive(Debug, PartialEq, Eq)]
struct Points {
    server: Vec<u64>,
    query: Vec<u64>,
    affected_count: u64,
}

fn told(journey: &Value) -> Points {
    let (server, database) = (&journey["points"]["server"], &journey["points"]["database"]);
    let of = |group: &Value, name: &str| {
        let point = group[name].as_u64();
        point.unwrap_or_else(|| panic!("{name} in {group}"))
    };
    let layers = LAYERS.iter().map(|name| of(server, name));
    let ends = (of(server, "requestReceived"), of(server, "responseTime"));
    Points {
        server: std::iter::once(ends.0)
            .chain(layers)
            .chain([ends.1])
            .collect(),
        query: ["queryStart", "queryEnd"]
            .map(|name| of(database, name))
            .to_vec(),
        affected_count: of(database, "documentsAffected"),
    }
}

/// The same out of the recording, whose points must not fall.
fn recorded(path: &Path, events: &[StageEvent], request: u64) -> Points {
    let mut reel = ReelReader::open(path).expect("a reel");
    let started_ns = reel.meta().started_at_unix_ns.expect("a live run");
    let wall_ms = |t_ns: u64| (u64::try_from(started_ns).expect("now") + t_ns) / 1_000_000;
    let mut found = Points {
        server: Vec::new(),
        query: Vec::new(),
        affected_count: 0,
    };
    let mut arrived_ns = 0;
    for event in events.iter().filter(|event| event.request.0 == request) {
        let t_ns = event.t_ns.0;
        let fields = reel.read_detail(event.detail).expect("readable");
        let fields: BTreeMap<_, _> = fields.into_iter().flat_map(|it| it.0).collect();
        let number = |name: &str| -> u64 {
            let text = fields.get(name).unwrap_or_else(|| panic!("{name}"));
            text.parse().expect("a whole number")
        };
        match (Place::ALL[event.component.index()], event.kind) {
            (Place::Server1 | Place::Server2 | Place::Server3, EventKind::Arrived) => {
                arrived_ns = t_ns;
                found.server.push(wall_ms(t_ns));
            }
            (Place::Server1 | Place::Server2 | Place::Server3, EventKind::ServiceEnded) => {
                let mut offsets = LAYERS.map(number).to_vec();
                offsets.push(t_ns - arrived_ns);
                assert!(offsets.is_sorted(), "{offsets:?}");
                let points = offsets
                    .iter()
                    .map(|offset_ns| wall_ms(arrived_ns + offset_ns));
                found.server.extend(points);
            }
            (Place::Database, EventKind::ServiceStarted) => found.query.push(wall_ms(t_ns)),
            (Place::Database, EventKind::ServiceEnded) => {
                found.query.push(wall_ms(t_ns));
                found.affected_count += number("documentsAffected");
            }
            _ => {}
        }
    }
    let ends = found.query.first().zip(found.query.last());
    found.query = ends.map_or(Vec::new(), |(start, end)| vec![*start, *end]);
    found
}

#[tokio::test]
async fn a_request_has_its_six_points_at_the_server_and_its_documents_live_and_in_the_reel() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let login = backend.user("ada").await;
    let body = json!({"email": "ada@people.example", "password": "wrong horse 1"});
    let (status, _) = backend.post("/api/logins", &body, None).await;
    assert_eq!(status, 401);
    let logged_in = login["requestId"].as_str().expect("an id").to_owned();
    let shown = until("the answers to both logins", async || {
        let token = Some(backend.admin_token.as_str());
        let path = "/api/live-view/requests?type=login";
        let (_, listed) = backend.get(path, token).await;
        let mut shown = BTreeMap::new();
        for listed in listed["requests"].as_array().expect("a list") {
            let id = listed["requestId"].as_str().expect("an id").to_owned();
            let journey = backend.journey(&id).await;
            let is_answered = journey["points"]["server"]["responseTime"].is_u64();
            if is_answered {
                shown.insert(id, told(&journey));
            }
        }
        (shown.len() == 2).then_some(shown)
    })
    .await;
    let reel = backend.stop();
    let events = sound_reel(&reel);
    for (id, points) in &shown {
        assert_eq!(points.server.len(), 6);
        assert!(points.server.is_sorted(), "{points:?}");
        assert!(points.query.is_sorted(), "{points:?}");
        let of_reel = recorded(&reel, &events, id.parse().expect("a number"));
        assert_eq!(&of_reel, points, "request {id}");
        // A refusal stores the attempt; a login itself, its session, two notifications with their histories and jobs.
        let stored_count = if *id == logged_in { 12 } else { 1 };
        assert_eq!(points.affected_count, stored_count, "request {id}");
    }
}
