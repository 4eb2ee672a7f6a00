//! `/api/live-view`: what the system does now, one request's way, and control of it.
//!
//! Belongs here: its routes. Does not belong here: recording, faults themselves.
//!
//! Reading is for administrators and holders of `dashboard:read:live`, control for administrators.

mod control;
mod reel;
mod requests;
mod simulate;
mod status;

use crate::router::access::Access;
use crate::router::route::{Content, Route};
use crate::router::schema::{Schema, TEXT, always, maybe};

static OPEN: Schema = Schema::Open(&[]);
static INJECTED: Schema = Schema::Object(&[always("requestIds", Schema::List(&TEXT))]);

/// Its entries of the table of routes.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/live-view/status", Access::Anyone, status::show)
            .does("Every part of the system as it is now.")
            .answers(200, &OPEN),
        Route::get(
            "/api/live-view/requests/{id}",
            Access::Monitor,
            requests::show,
        )
        .does("One of the last requests, stage by stage.")
        .answers(200, &OPEN)
        .refuses(&[404]),
        Route::post("/api/live-view/control", Access::Admin, control::apply)
            .does("Breaks a part on purpose for a while.")
            .takes(const { &[always("fault", Schema::Any)] })
            .answers(200, &OPEN)
            .refuses(&[429]),
        Route::post("/api/live-view/simulate", Access::Admin, simulate::start)
            .does("Makes so many real requests of one kind.")
            .takes(
                const {
                    &[
                        always("type", TEXT),
                        maybe("count", Schema::Whole(1, 10_000)),
                        maybe("interval", Schema::Whole(0, 60_000)),
                    ]
                },
            )
            .answers(202, &INJECTED),
        Route::get("/api/live-view/reel", Access::Anyone, reel::follow)
            .does("This run's recording from its first byte, as it grows, to its end.")
            .answers_with(200, Content::Media("application/octet-stream"))
            .refuses(&[404, 429]),
    ]
}
