//! Cases that are not run, each with its reason.
//!
//! Belongs here: the list. Does not belong here: anything else.

/// Name of a case and why the scenario language does not say it.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "mpareto-1-alpha3.5-rho0.7",
        "an unbounded `pareto` is being built",
    ),
    (
        "mm1-deadline-zombie",
        "`deadline_s` of a class is being built",
    ),
    (
        "closed-batch-no-think",
        "`closed` without thinking is being built",
    ),
    ("blocking-tandem-b3", "`on_full = \"block\"` is being built"),
    (
        "saturated-two-stage-b4",
        "`on_full = \"block\"` is being built",
    ),
    ("token-bucket-drop-b5", "buckets that drop are being built"),
    (
        "token-bucket-drop-b10-over",
        "buckets that drop are being built",
    ),
    ("token-bucket-tick-b5", "ticking buckets are being built"),
    ("token-bucket-shape-b5", "`when_empty` is being built"),
    ("token-bucket-dd", "buckets that drop are being built"),
    ("token-bucket-burst-100", "`when_empty` is being built"),
];

/// The reason why a case is not run; `None` where it is.
pub(crate) fn reason(id: &str) -> Option<&'static str> {
    LEFT_OUT
        .iter()
        .find(|(name, _)| *name == id)
        .map(|(_, reason)| *reason)
}
