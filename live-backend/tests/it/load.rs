//! The load driver against a real backend, and the backend under it.

use crate::harness::{Backend, Folder, count, sound_reel};
use flowreel_engine::model::event::EventKind;
use flowreel_live_backend::load::{LoadArgs, LoadSettings, run};
use flowreel_live_backend::telemetry::Clock;

#[tokio::test(flavor = "multi_thread")]
async fn mixed_load_is_accepted_delivered_and_recorded_without_a_loss() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let args = LoadArgs {
        url: backend.http.base().to_owned(),
        duration: "3s".to_owned(),
        rate: 4.0,
        users: 3,
        warmup: "0s".to_owned(),
        ..LoadArgs::default()
    };
    let settings = LoadSettings::try_from(&args).expect("sensible settings");
    let report = run(&settings, Clock::start())
        .await
        .expect("a backend is there");
    assert!(report.sent > 0, "{report:?}");
    assert_eq!(report.sent, report.accepted + report.failed, "{report:?}");
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(report.undelivered, 0, "{report:?}");
    assert_eq!(report.expected, report.delivered, "{report:?}");
    assert_eq!(report.sockets_lost, 0, "{report:?}");
    assert_eq!(report.delivery_ms.count, report.delivered, "{report:?}");
    assert!(
        report.delivery_ms.p99 >= report.delivery_ms.p50,
        "{report:?}"
    );

    let events = sound_reel(&backend.stop());
    let users = u64::from(settings.user_count);
    let begun = u64::try_from(count(&events, EventKind::RequestBegun)).expect("few");
    assert_eq!(
        begun,
        report.sent + 2 * users,
        "each user signed up and logged in first"
    );
}
