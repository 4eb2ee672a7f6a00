//! The dependency rules between packages: what no package reaches, however indirectly.
//!
//! Belongs here: reading cargo's resolved graph. Does not belong here: paths in code (edges).

use super::Finding;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A package of ours, its manifest, and the packages it never reaches in a normal build.
const ABSENCES: &[(&str, &str, &[&str])] = &[
    (
        "flowreel-engine",
        "engine/Cargo.toml",
        &[
            "tokio",
            "bevy",
            "bevy_ecs",
            "axum",
            "flowreel-live-backend",
            "flowreel-visualizer",
        ],
    ),
    (
        "flowreel-live-backend",
        "live-backend/Cargo.toml",
        &["bevy", "bevy_ecs", "egui", "winit", "flowreel-visualizer"],
    ),
    (
        "flowreel-visualizer",
        "visualizer/Cargo.toml",
        &["axum", "tokio", "rusqlite", "flowreel-live-backend"],
    ),
    (
        "xtask",
        "xtask/Cargo.toml",
        &[
            "flowreel-engine",
            "flowreel-live-backend",
            "flowreel-visualizer",
            "tokio",
        ],
    ),
];

/// No package of ours reaches what it must not know. `metadata` is the answer of `cargo metadata`.
pub(crate) fn keep_their_distance(metadata: &Value) -> Vec<Finding> {
    let graph = Graph::read(metadata);
    let mut findings = Vec::new();
    for (package, manifest, names) in ABSENCES {
        let Some(reached) = graph.reached_from(package) else {
            continue;
        };
        for name in *names {
            if reached.contains(name) {
                findings.push(Finding::new(
                    manifest,
                    1,
                    format!("`{package}` reaches `{name}`"),
                    format!(
                        "find the way with `cargo tree -p {package} -e normal -i {name}` and cut it"
                    ),
                ));
            }
        }
    }
    findings
}

#[derive(Default)]
struct Graph<'a> {
    names: BTreeMap<&'a str, &'a str>,
    normal_dependencies: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn read(metadata: &'a Value) -> Self {
        let mut graph = Self::default();
        for package in list(&metadata["packages"]) {
            if let (Some(id), Some(name)) = (package["id"].as_str(), package["name"].as_str()) {
                graph.names.insert(id, name);
            }
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let Some(id) = node["id"].as_str() else {
                continue;
            };
            let normal = list(&node["deps"])
                .filter(|dependency| {
                    list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null())
                })
                .filter_map(|dependency| dependency["pkg"].as_str());
            graph.normal_dependencies.insert(id, normal.collect());
        }
        graph
    }

    fn reached_from(&self, package: &str) -> Option<BTreeSet<&'a str>> {
        let (id, _) = self.names.iter().find(|(_, name)| **name == package)?;
        let mut seen = BTreeSet::from([*id]);
        let mut open = vec![*id];
        while let Some(id) = open.pop() {
            for next in self.normal_dependencies.get(id).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.remove(id);
        Some(
            seen.into_iter()
                .filter_map(|id| self.names.get(id).copied())
                .collect(),
        )
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(kind: &Value) -> Value {
        json!({
            "packages": [
                {"id": "1", "name": "flowreel-engine"},
                {"id": "2", "name": "middle"},
                {"id": "3", "name": "tokio"},
            ],
            "resolve": {"nodes": [
                {"id": "1", "deps": [{"pkg": "2", "dep_kinds": [{"kind": kind}]}]},
                {"id": "2", "deps": [{"pkg": "3", "dep_kinds": [{"kind": null}]}]},
                {"id": "3", "deps": []},
            ]},
        })
    }

    #[test]
    fn a_forbidden_package_is_found_however_deep() {
        assert_eq!(keep_their_distance(&metadata(&Value::Null)).len(), 1);
    }

    #[test]
    fn what_only_tests_use_does_not_count() {
        assert_eq!(keep_their_distance(&metadata(&json!("dev"))), []);
    }
}
