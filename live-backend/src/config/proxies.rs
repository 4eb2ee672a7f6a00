//! Proxies before the balancer that are believed.
//!
//! Belongs here: the setting. Does not belong here: what such a proxy says (`load_balancer/forward.rs`).

use super::ConfigError;
use super::list;
use super::sources::{Sources, wrong};
use std::net::IpAddr;

/// The addresses from which such proxies ask; without the setting there are none.
pub(super) fn trusted(sources: &Sources<'_>) -> Result<Vec<IpAddr>, ConfigError> {
    let (names, key) = (["TRUSTED_PROXIES"], "trusted_proxies");
    let text = sources.text(None, &names, key)?.unwrap_or_default();
    let addresses = list(&text).into_iter().map(|item| {
        let address = item.parse::<IpAddr>();
        let wanted = "addresses such as 127.0.0.1, with commas between them";
        address
            .map(|address| address.to_canonical())
            .map_err(|_no_address| wrong(&names, key, &item, wanted))
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use std::net::IpAddr;

    #[test]
    fn nobody_is_believed_who_is_not_named() {
        let of = |text| read(&[], &[("TRUSTED_PROXIES", text)]);
        assert!(read(&[], &[]).unwrap().trusted_proxies.is_empty());
        let named = of("127.0.0.1, ::1,::ffff:10.0.0.1").unwrap();
        let expected: Vec<IpAddr> = ["127.0.0.1", "::1", "10.0.0.1"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(named.trusted_proxies, expected);
        for text in ["nginx", "10.0.0.0/8", "127.0.0.1 ::1"] {
            let error = of(text).unwrap_err();
            assert!(error.contains("TRUSTED_PROXIES"), "{error}");
        }
    }
}
