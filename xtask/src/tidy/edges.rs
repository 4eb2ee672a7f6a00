//! The dependency rules between folders, stated as what is absent.
//!
//! Belongs here: which folder never names what, and why. Does not belong here: reading paths (paths),
//! whole packages (packages).

use super::Finding;
use super::paths::{is_inside, module_of, named_in};
use super::tree::SourceFile;

/// A folder or file, and what it never names.
struct Absence {
    /// Path prefixes this is about.
    within: &'static [&'static str],
    /// Path prefixes inside them that may.
    except: &'static [&'static str],
    /// Rust paths that never appear; a bare name matches any part of a path.
    names: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        within: &["engine/src/"],
        except: &[],
        names: &[
            "tokio",
            "bevy",
            "axum",
            "futures_util",
            "flowreel_live_backend",
            "flowreel_visualizer",
        ],
        instead: "keep the engine free of it: async and drawing live in the other two packages",
    },
    Absence {
        within: &["engine/src/"],
        except: &["engine/src/cli"],
        names: &["std::time::Instant", "std::time::SystemTime"],
        instead: "take the time as a value: the engine knows virtual time only",
    },
    Absence {
        within: &["engine/src/"],
        except: &["engine/src/main.rs", "engine/src/cli"],
        names: &["std::env", "std::process", "clap"],
        instead: "take the value as a parameter: only the command line meets the environment",
    },
    Absence {
        within: &["engine/src/"],
        except: &[
            "engine/src/analysis",
            "engine/src/cli",
            "engine/src/main.rs",
        ],
        names: &["std::thread", "rayon"],
        instead: "one run is one thread; threads belong to analysis",
    },
    Absence {
        within: &["engine/src/"],
        except: &[
            "engine/src/recording/file.rs",
            "engine/src/cli",
            "engine/src/main.rs",
        ],
        names: &["std::fs", "std::net"],
        instead: "take bytes: only recording/file.rs and the command line open files",
    },
    Absence {
        within: &["engine/src/"],
        except: &["engine/src/cli", "engine/src/main.rs", "engine/src/lib.rs"],
        names: &["crate::cli"],
        instead: "nothing below the command line knows it",
    },
    Absence {
        within: &["engine/src/model"],
        except: &[],
        names: &[
            "crate::scenario",
            "crate::kernel",
            "crate::recording",
            "crate::replay",
            "crate::analysis",
            "crate::import",
            "crate::export",
        ],
        instead: "the model is what everybody shares and imports nothing of ours",
    },
    Absence {
        within: &["engine/src/replay", "engine/src/recording"],
        except: &[],
        names: &["crate::kernel", "crate::scenario"],
        instead: "a reel is read without the simulator that may have written it",
    },
    Absence {
        within: &["engine/src/editing", "engine/src/export"],
        except: &[],
        names: &["crate::kernel", "crate::scenario", "crate::import"],
        instead: "reels are made out of reels, whoever made those",
    },
    Absence {
        within: &["engine/src/kernel"],
        except: &[],
        names: &["crate::recording", "crate::replay"],
        instead: "hand events to the caller's sink; the kernel does not know who listens",
    },
    Absence {
        within: &["engine/src/scenario"],
        except: &[],
        names: &["crate::kernel", "crate::recording", "crate::replay"],
        instead: "a scenario is a value; what runs it comes later",
    },
    Absence {
        within: &["engine/src/analysis"],
        except: &[],
        names: &["ReelWriter"],
        instead: "analysis reads; events are written by kernel, telemetry and import",
    },
    Absence {
        within: &["live-backend/src/"],
        except: &[],
        names: &["bevy", "egui", "flowreel_visualizer"],
        instead: "send recording bytes over the socket; drawing is the visualizer's",
    },
    Absence {
        within: &["live-backend/src/"],
        except: &["live-backend/src/telemetry"],
        names: &["ReelWriter", "StageEvent"],
        instead: "hand telemetry a typed stage; only telemetry writes events",
    },
    Absence {
        within: &[
            "live-backend/src/controllers",
            "live-backend/src/middleware",
        ],
        except: &[],
        names: &["rusqlite", "lettre", "mongodb", "redis", "crate::worker"],
        instead: "extract, check, call the service, answer",
    },
    Absence {
        within: &[
            "live-backend/src/controllers",
            "live-backend/src/middleware",
        ],
        // What operators ask and do is about the queues themselves.
        except: &[
            "live-backend/src/controllers/queues",
            "live-backend/src/controllers/metrics",
        ],
        names: &["crate::queue"],
        instead: "jobs are made by the notification service",
    },
    Absence {
        within: &["live-backend/src/notification_service"],
        except: &[],
        names: &[
            "crate::controllers",
            "crate::router",
            "crate::worker",
            "axum",
        ],
        instead: "calls go downwards: router, controllers, notification service, queue and store",
    },
    Absence {
        within: &["live-backend/src/queue", "live-backend/src/store"],
        except: &[],
        names: &[
            "crate::controllers",
            "crate::router",
            "crate::notification_service",
            "crate::worker",
            "axum",
        ],
        instead: "nothing below calls back up",
    },
    Absence {
        within: &["live-backend/src/"],
        except: &["live-backend/src/store"],
        names: &["rusqlite", "mongodb"],
        instead: "types of a driver do not leave their folder",
    },
    Absence {
        within: &["live-backend/src/"],
        // Jobs, sockets and stages each meet other processes in Redis, each by keys of their own.
        except: &[
            "live-backend/src/queue",
            "live-backend/src/websocket",
            "live-backend/src/telemetry/transport",
            // One way to make a client for all of them.
            "live-backend/src/redis_client",
            // An address is read as the driver reads it, and `status` asks whether it answers.
            "live-backend/src/config/parts",
            "live-backend/src/status/services",
        ],
        names: &["redis", "bullmq_official"],
        instead: "types of a driver do not leave their folder",
    },
    Absence {
        within: &["live-backend/src/"],
        except: &["live-backend/src/email"],
        names: &["lettre"],
        instead: "types of a driver do not leave their folder",
    },
    Absence {
        within: &["live-backend/src/"],
        except: &["live-backend/src/websocket"],
        names: &["socketioxide"],
        instead: "types of a driver do not leave their folder",
    },
    Absence {
        within: &["visualizer/src/"],
        except: &[],
        names: &["flowreel_live_backend", "axum", "tokio"],
        instead: "live data arrive as recording bytes over a socket",
    },
    Absence {
        within: &["visualizer/src/scene/layout"],
        except: &[],
        names: &["bevy", "bevy_egui"],
        instead: "layout is pure: topology in, positions out",
    },
    Absence {
        within: &["visualizer/src/source"],
        except: &[],
        names: &["bevy_egui", "egui"],
        instead: "a source yields what a reel holds, and draws nothing",
    },
];

/// A file names nothing that its folder must not know.
pub(crate) fn keeps_its_distance(file: &SourceFile) -> Vec<Finding> {
    // A module of nothing but tests may look wherever it must.
    if file.is_test() {
        return Vec::new();
    }
    let absences: Vec<&Absence> = ABSENCES
        .iter()
        .filter(|absence| absence.is_about(&file.path))
        .collect();
    if absences.is_empty() {
        return Vec::new();
    }
    // Tests at the end of a file may bring parts together that the code keeps apart.
    let last_line = file.tests_begin().unwrap_or(usize::MAX);
    let mut findings = Vec::new();
    for named in named_in(&file.code, &module_of(&file.path)) {
        if named.line > last_line {
            break;
        }
        for absence in &absences {
            if absence.names.iter().any(|name| names(&named.path, name)) {
                let what = format!("`{}` is not known here", named.path);
                findings.push(Finding::new(&file.path, named.line, what, absence.instead));
            }
        }
    }
    findings
}

impl Absence {
    fn is_about(&self, path: &str) -> bool {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| covers(prefix, path));
        begins(self.within) && !begins(self.except)
    }
}

/// `engine/src/model` covers `engine/src/model.rs` and everything in `engine/src/model/`.
fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| {
        rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/') || rest == ".rs"
    })
}

fn names(path: &str, name: &str) -> bool {
    if name.contains("::") || name.chars().all(|c| c.is_lowercase() || c == '_') {
        return is_inside(path, name);
    }
    path.split("::").any(|part| part == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, code: &str, count: usize) {
        let found = keeps_its_distance(&SourceFile::new(path, code));
        assert_eq!(found.len(), count, "{path}: {code}: {found:?}");
    }

    #[test]
    fn the_engine_knows_no_runtime_no_clock_and_no_environment() {
        check("engine/src/kernel/station.rs", "use tokio::sync::mpsc;", 1);
        check(
            "engine/src/kernel.rs",
            "use std::time::{Duration, Instant};",
            1,
        );
        check("engine/src/scenario/raw.rs", "std::env::var(\"X\")", 1);
        check("engine/src/cli/simulate.rs", "std::env::args()", 0);
    }

    #[test]
    fn only_one_file_of_the_library_opens_files() {
        check("engine/src/recording/decoder.rs", "use std::fs;", 1);
        check("engine/src/recording/file.rs", "use std::fs;", 0);
        check(
            "engine/src/import/jaeger.rs",
            "fn f() { std::fs::read(path) }",
            1,
        );
    }

    #[test]
    fn recording_and_kernel_do_not_meet() {
        check("engine/src/replay.rs", "use crate::kernel::Kernel;", 1);
        check(
            "engine/src/recording/index.rs",
            "use super::super::kernel::Kernel;",
            1,
        );
        check(
            "engine/src/kernel/calendar.rs",
            "use crate::recording::ReelWriter;",
            1,
        );
        check(
            "engine/src/model/state.rs",
            "use crate::{model::id, kernel};",
            1,
        );
        check("engine/src/model/state.rs", "use super::id::RequestId;", 0);
    }

    #[test]
    fn tests_at_the_end_may_bring_parts_together() {
        let text = "//! K.\n#[cfg(test)]\nmod tests {\n    use crate::recording::ReelReader;\n}\n";
        check("engine/src/kernel.rs", text, 0);
    }

    #[test]
    fn the_backend_hands_stages_to_telemetry() {
        check(
            "live-backend/src/worker/consumer.rs",
            "use flowreel_engine::recording::ReelWriter;",
            1,
        );
        check(
            "live-backend/src/telemetry/recorder.rs",
            "use flowreel_engine::recording::ReelWriter;",
            0,
        );
        check(
            "live-backend/src/controllers/logins.rs",
            "use rusqlite::Connection;",
            2,
        );
        check("live-backend/src/store.rs", "use rusqlite::Connection;", 0);
    }

    #[test]
    fn layout_is_pure_and_the_visualizer_knows_no_backend() {
        check("visualizer/src/scene/layout.rs", "use bevy::prelude::*;", 1);
        check("visualizer/src/scene/token.rs", "use bevy::prelude::*;", 0);
        check(
            "visualizer/src/source/live.rs",
            "use flowreel_live_backend::app;",
            1,
        );
    }
}
