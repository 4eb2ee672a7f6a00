//! Cases that are not run, each with its reason.
//!
//! Belongs here: the list. Does not belong here: anything else.

/// Name of a case and why the scenario language does not say it.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("mm1-ps-rho0.8", "its discipline or rule is being built"),
    (
        "mg1-ps-h2-scv4-rho0.8",
        "its discipline or rule is being built",
    ),
    ("mg1-ps-d-rho0.7", "its discipline or rule is being built"),
    (
        "cpu-4-cores-ps-rho0.9",
        "its discipline or rule is being built",
    ),
    (
        "mm1-lcfs-pr-rho0.7",
        "its discipline or rule is being built",
    ),
    ("mm1-lcfs-rho0.8", "its discipline or rule is being built"),
    ("mm1-ros-rho0.8", "its discipline or rule is being built"),
    ("mm1-srpt-rho0.8", "its discipline or rule is being built"),
    ("mm1-srpt-rho0.5", "its discipline or rule is being built"),
    ("mm1-sjf-rho0.8", "its discipline or rule is being built"),
    ("prio-np-2-rho0.8", "its discipline or rule is being built"),
    ("prio-pr-2-rho0.8", "its discipline or rule is being built"),
    ("prio-np-3-mixed", "its discipline or rule is being built"),
    ("prio-pr-2-unequal", "its discipline or rule is being built"),
    ("prio-np-c4", "its discipline or rule is being built"),
    (
        "mpareto-1-alpha3.5-rho0.7",
        "an unbounded `pareto` is being built",
    ),
    (
        "mh2-las-scv4-rho0.8",
        "`discipline = \"las\"` is being built",
    ),
    (
        "mm1-deadline-zombie",
        "`deadline_s` of a class is being built",
    ),
    ("hetero-fastest-idle", "`service_by_server` is being built"),
    ("batch-worker-b4", "`batch_service` is being built"),
    (
        "closed-batch-no-think",
        "`closed` without thinking is being built",
    ),
    ("blocking-tandem-b3", "`on_full = \"block\"` is being built"),
    (
        "saturated-two-stage-b4",
        "`on_full = \"block\"` is being built",
    ),
    ("cold-start-exp", "`setup` is being built"),
    ("cold-start-deterministic", "`setup` is being built"),
    ("breakdown-av0.9", "`breakdown` is being built"),
    ("token-bucket-drop-b5", "buckets that drop are being built"),
    (
        "token-bucket-drop-b10-over",
        "buckets that drop are being built",
    ),
    ("token-bucket-tick-b5", "ticking buckets are being built"),
    ("token-bucket-shape-b5", "`when_empty` is being built"),
    ("token-bucket-dd", "buckets that drop are being built"),
    ("token-bucket-burst-100", "`when_empty` is being built"),
    ("transient-mm1-rho0.8", "`observe_at_s` is being built"),
    ("daily-load-mm1", "`observe_at_s` is being built"),
    ("sinusoid-infinite", "`observe_at_s` is being built"),
];

/// The reason why a case is not run; `None` where it is.
pub(crate) fn reason(id: &str) -> Option<&'static str> {
    LEFT_OUT
        .iter()
        .find(|(name, _)| *name == id)
        .map(|(_, reason)| *reason)
}
