//! Layouts: no node covers another, no edge runs through a node, the same every time.
//!
//! Belongs here: what must hold for any topology. Does not belong here: how it looks.

use crate::support::session;
use flowreel_engine::model::id::ComponentId;
use flowreel_engine::model::topology::{Component, ComponentKind, Edge, EdgeKind, Topology};
use flowreel_visualizer::scene::layout::{Layout, layout};

fn check(topology: &Topology) -> Layout {
    let made = layout(topology);
    assert_eq!(
        made,
        layout(topology),
        "the same topology gives the same layout"
    );
    for (index, a) in made.nodes.iter().enumerate() {
        assert!(a.is_positive(), "node {index} has a place");
        for b in &made.nodes[index + 1..] {
            assert!(
                !a.shrink(0.5).intersects(b.shrink(0.5)),
                "{a:?} covers {b:?}"
            );
        }
    }
    for (edge, route) in topology.edges.iter().zip(&made.routes) {
        assert!(route.points.len() >= 2, "{edge:?} is drawn");
        let (from, to) = (made.nodes[edge.from.index()], made.nodes[edge.to.index()]);
        assert!(
            from.expand(0.6).contains(route.points[0]),
            "{edge:?} starts at its source"
        );
        let tip = *route.points.last().expect("two points at least");
        assert!(to.expand(0.6).contains(tip), "{edge:?} ends at its target");
        for ends in route.points.windows(2) {
            let step = ends[1] - ends[0];
            assert!(
                step.x.abs() < 0.51 || step.y.abs() < 0.51,
                "{edge:?} leaves the grid: {ends:?}"
            );
            for (index, node) in made.nodes.iter().enumerate() {
                let segment = egui::Rect::from_two_pos(ends[0], ends[1]);
                assert!(
                    !segment.intersects(node.shrink(1.5)),
                    "{edge:?} runs through node {index}: {ends:?} {node:?}"
                );
            }
        }
    }
    made
}

#[test]
fn the_notification_system_has_six_columns_two_lanes_and_straight_main_lines() {
    let session = session();
    let topology = session.reel().topology();
    let made = check(topology);
    assert_eq!(made.headings.len(), 6);
    let titles: Vec<&str> = made.lanes.iter().map(|lane| lane.title.as_str()).collect();
    assert_eq!(titles, ["Email", "In-app"]);
    let middle = |name: &str| {
        let id = topology.component_named(name).expect("the scenario has it");
        made.nodes[id.index()].center().y
    };
    for line in [
        ["mail", "mail-worker", "smtp"],
        ["in-app", "in-app-worker", "websocket"],
    ] {
        assert!(
            line.iter()
                .all(|name| (middle(name) - middle(line[0])).abs() < 0.6)
        );
    }
}

/// A topology drawn from a seed: every edge is as likely as any other, feedback and loops included.
fn random(seed: u64, count: u16) -> Topology {
    let mut state = seed;
    let mut draw = move |below: u16| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u16::try_from((state >> 33) % u64::from(below)).expect("below a u16")
    };
    let components = (0..count)
        .map(|index| Component {
            id: format!("s-{index}"),
            kind: ComponentKind::ALL[usize::from(draw(12))],
            label: format!("service {index} {}", "x".repeat(usize::from(draw(14)))),
            servers: None,
            rate_limit_per_s: None,
            capacity: None,
            port: None,
        })
        .collect();
    let mut edges: Vec<Edge> = Vec::new();
    for _ in 0..count * 2 {
        let (from, to) = (ComponentId(draw(count)), ComponentId(draw(count)));
        let kind = EdgeKind::ALL[usize::from(draw(3))];
        if !edges.iter().any(|edge| (edge.from, edge.to) == (from, to)) {
            edges.push(Edge { from, to, kind });
        }
    }
    Topology {
        components,
        edges,
        ..Topology::default()
    }
}

#[test]
fn random_topologies_are_laid_out_without_overlap() {
    for seed in 0..24 {
        for count in [1, 2, 5, 12, 30] {
            check(&random(seed, count));
        }
    }
}
