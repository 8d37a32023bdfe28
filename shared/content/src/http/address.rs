//! Addresses that an untrusted URL may reach: only global unicast. An IPv4 address inside an IPv6
//! address is checked too. The ranges are those of IANA's special-purpose registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of the address, if an untrusted URL must not reach it.
pub(crate) fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => v4_refusal(v4),
        IpAddr::V6(v6) => v6_refusal(v6),
    }
}

fn v4_refusal(address: Ipv4Addr) -> Option<&'static str> {
    let kind = match address.octets() {
        [0, ..] => "of this network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "of a carrier's shared network",
        [127, ..] => "loopback",
        [169, 254, ..] => "link-local",
        [192, 0, 0, _] => "of protocol assignments",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "for documentation",
        [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => "of a special service",
        [192, 88, 99, _] => "of a 6to4 relay",
        [198, 18..=19, ..] => "for benchmarks",
        [224..=239, ..] => "multicast",
        [255, 255, 255, 255] => "broadcast",
        [240..=255, ..] => "reserved",
        _ => return None,
    };
    Some(kind)
}

fn v6_refusal(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(carried) = carried_v4(address) {
        return v4_refusal(carried).map(|_| "carrying an IPv4 address outside the global ranges");
    }
    let kind = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0xfc00..=0xfdff, ..] => "unique local",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfec0..=0xfeff, ..] => "site-local",
        [0xff00..=0xffff, ..] => "multicast",
        [0x64, 0xff9b, 1, ..] => "of a local translation",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => "for documentation",
        [0x2001, 0x0..=0x1ff, ..] => "of protocol assignments",
        [0x2002, ..] => "6to4",
        // All assigned global unicast addresses begin with the bits 001.
        [0x2000..=0x3fff, ..] => return None,
        _ => "not global unicast",
    };
    Some(kind)
}

/// The IPv4 address in a mapped or a NAT64 address: a network may use those for global ones. The
/// other forms with an IPv4 address (compatible, 6to4, Teredo) are obsolete, and always refused.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REFUSED_V4: [&str; 27] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "250.1.2.3",
        "255.255.255.254",
        "255.255.255.255",
    ];
    const ALLOWED_V4: [&str; 10] = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "198.17.255.255",
        "223.255.255.255",
    ];

    fn refused(text: &str) -> bool {
        refusal(text.parse().unwrap()).is_some()
    }

    #[test]
    fn only_global_ipv4_is_spoken_to() {
        for text in REFUSED_V4 {
            assert!(refused(text), "{text}");
        }
        for text in ALLOWED_V4 {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn only_global_ipv6_is_spoken_to() {
        let never = [
            "::",
            "::1",
            "fc00::1",
            "fdff::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "100::1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "4000::1",
            "5f00::1",
            "8000::1",
            "::ffff:0:0:1",
        ];
        for text in never {
            assert!(refused(text), "{text}");
        }
        for text in [
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450:4001::1",
            "3ffe::1",
            "2400::1",
        ] {
            assert!(!refused(text), "{text}");
        }
    }

    /// Every known form of an IPv4 address in an IPv6 one: first those in use, then the others.
    fn carriers(v4: Ipv4Addr) -> [Ipv6Addr; 6] {
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !high, !low),
        ]
    }

    proptest! {
        #[test]
        fn an_ipv4_address_inside_ipv6_is_judged_as_itself(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let carriers = carriers(v4);
            let (in_use, out_of_use) = carriers.split_at(2);
            for v6 in in_use {
                prop_assert_eq!(refusal((*v6).into()).is_some(), refusal(v4.into()).is_some(), "{} {}", v6, v4);
            }
            prop_assert!(out_of_use.iter().all(|v6| refusal((*v6).into()).is_some()));
        }

        #[test]
        fn what_the_standard_library_calls_special_is_refused(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let special = v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || refusal(v4.into()).is_some());
        }
    }

    #[test]
    fn refused_ipv4_is_refused_inside_ipv6_too() {
        for v4 in REFUSED_V4 {
            for v6 in carriers(v4.parse().unwrap()) {
                assert!(refusal(v6.into()).is_some(), "{v6} {v4}");
            }
        }
    }
}
