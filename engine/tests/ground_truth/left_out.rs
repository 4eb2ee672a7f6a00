//! Cases that are not run, each with its reason.
//!
//! Belongs here: the list. Does not belong here: anything else.

/// Name of a case and why the scenario language does not say it.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "pod2-limit-rho0.95",
        "minutes of 200 lines for two answers; loads of 0.5, 0.8 and 0.9 prove the same rule",
    ),
    (
        "pod2-limit-rho0.99",
        "at 50 to 200 servers the gap to the limit is no line in 1/N: half a server is free of 50",
    ),
];

/// The reason why a case is not run; `None` where it is.
pub(crate) fn reason(id: &str) -> Option<&'static str> {
    LEFT_OUT
        .iter()
        .find(|(name, _)| *name == id)
        .map(|(_, reason)| *reason)
}
