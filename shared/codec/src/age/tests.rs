use holdfast_domain::Secret;
use proptest::prelude::*;

use super::{file::AgeFile, *};
use crate::{KeyError, MasterKey};

/// Made by age-keygen 1.3.2 only for these tests.
const IDENTITY: &str = "\
# created: 2026-11-23T15:41:59Z
# public key: age1a2e5rfhv6c430dtzye3gmcuu6cauzne0s5kfmuhp3p4qpf86j9pq2e573v
AGE-SECRET-KEY-1HAV5UXUL2GP87X96EGRF9P0K38N9TN7FTNKQC5A66SHY2QTQU6MQN69NGD
";
const RECIPIENT: &str = "age1a2e5rfhv6c430dtzye3gmcuu6cauzne0s5kfmuhp3p4qpf86j9pq2e573v";

/// Output of age 1.3.2 for this recipient and the bytes 0 to 31.
const WRITTEN_BY_AGE: &str = "\
6167652d656e6372797074696f6e2e6f72672f76310a2d3e20583235353139206d764c4a5a6d4e7772714732577a747442626e43767459565a\
303258796c50397a51716b304473623143380a5832494e36697948414672712b6d6d59353135616a4a6f725474414944345351774a4d773051\
61463141630a2d2d2d20474e4f4b4a4579737666446869373570676b335667726556585237366752544a736c52374466307970646f0adabc3f\
9923c6762eed46fff872bce09571632849dc4654227659b9be6c045eb2f299a1e89b8c1a43348bfde51301549df058806e87df03f33485d838\
36b3def7";

fn identity() -> AgeIdentity {
    read(IDENTITY).unwrap().remove(0)
}

fn read(text: &str) -> Result<Vec<AgeIdentity>, KeyError> {
    AgeIdentity::read_file(&Secret::new(text))
}

fn other_identity() -> AgeIdentity {
    read(
        &to_bech32(&[7; 32], "age-secret-key-")
            .unwrap()
            .to_ascii_uppercase(),
    )
    .unwrap()
    .remove(0)
}

/// Points of the orders 1, 2, 4 and 8, as recipients. The result of every exchange with them is
/// zero.
fn points_of_small_order() -> Vec<[u8; 32]> {
    let mut points = vec![[0; 32], [0; 32]];
    points[1][0] = 1;
    for hex in [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        points.push(hex::decode(hex).unwrap().try_into().unwrap());
    }
    points
}

#[test]
fn what_age_wrote_is_opened() {
    let master: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let file = hex::decode(WRITTEN_BY_AGE).unwrap();
    assert_eq!(identity().unwrap(&file).unwrap().expose(), &master);
    assert_eq!(identity().recipient().to_string(), RECIPIENT);
}

#[test]
fn a_wrapped_key_has_the_length_and_the_lines_of_ages_own() {
    let ours = AgeRecipient::parse(RECIPIENT)
        .unwrap()
        .wrap(&MasterKey::new([9; 32]))
        .unwrap();
    let theirs = hex::decode(WRITTEN_BY_AGE).unwrap();
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(ours[..32], theirs[..32]);
    let ends = |file: &[u8]| {
        file[..168]
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .map(|(at, _)| at)
            .collect()
    };
    let (ours, theirs): (Vec<usize>, Vec<usize>) = (ends(&ours), ends(&theirs));
    assert_eq!(ours, theirs);
}

#[test]
fn only_the_recipients_identity_opens() {
    let master = MasterKey::new([9; 32]);
    let file = AgeRecipient::parse(RECIPIENT)
        .unwrap()
        .wrap(&master)
        .unwrap();
    assert_eq!(identity().unwrap(&file).unwrap().expose(), master.expose());
    assert_eq!(
        other_identity().unwrap(&file).unwrap_err(),
        KeyError::WrongIdentity
    );
}

#[test]
fn no_two_wrappings_have_anything_secret_in_common() {
    let recipient = AgeRecipient::parse(RECIPIENT).unwrap();
    let file = || recipient.wrap(&MasterKey::new([9; 32])).unwrap();
    let (one, two) = (file(), file());
    for part in [32..75, 76..119, 124..167, 168..184, 184..232] {
        assert_ne!(one[part.clone()], two[part]);
    }
}

#[test]
fn any_change_of_the_file_is_refused() {
    let file = AgeRecipient::parse(RECIPIENT)
        .unwrap()
        .wrap(&MasterKey::new([9; 32]))
        .unwrap();
    for at in 0..file.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut changed = file.clone();
            changed[at] ^= bit;
            assert!(
                identity().unwrap(&changed).is_err(),
                "bit {bit:#x} of byte {at}"
            );
        }
        assert!(
            matches!(
                identity().unwrap(&file[..at]),
                Err(KeyError::Corrupt { .. })
            ),
            "cut at {at}"
        );
    }
    assert!(matches!(
        identity().unwrap(&[&file[..], b"\n"].concat()),
        Err(KeyError::Corrupt { .. })
    ));
}

#[test]
fn a_point_of_small_order_is_neither_a_recipient_nor_opened() {
    let file = AgeRecipient::parse(RECIPIENT)
        .unwrap()
        .wrap(&MasterKey::new([9; 32]))
        .unwrap();
    for point in points_of_small_order() {
        let text = to_bech32(&point, "age").unwrap();
        assert!(
            matches!(AgeRecipient::parse(&text), Err(KeyError::Recipient { .. })),
            "{}",
            *text
        );
        let mut hostile = AgeFile::parse(&file).unwrap();
        hostile.ephemeral = point;
        assert!(matches!(
            identity().unwrap(&hostile.to_bytes()),
            Err(KeyError::Corrupt { .. })
        ));
    }
}

#[test]
fn a_recipient_is_read_as_it_is_printed() {
    for form in [
        RECIPIENT.to_owned(),
        format!("  {RECIPIENT}\n"),
        RECIPIENT.to_ascii_uppercase(),
    ] {
        assert_eq!(AgeRecipient::parse(&form).unwrap().to_string(), RECIPIENT);
    }
    assert_eq!(
        format!("{:?}", identity()),
        format!("AgeIdentity(of {RECIPIENT})")
    );
}

#[test]
fn what_is_no_recipient_is_refused_with_the_reason_and_without_its_text() {
    let secret = IDENTITY.lines().last().unwrap();
    let mistyped = RECIPIENT.replace("a2e5", "a2e6");
    let long = to_bech32(&[7; 32], "age")
        .unwrap()
        .replace("age1", "age1qq");
    let post_quantum = format!("age1pq1{}", "q".repeat(1900));
    for (text, reason) in [
        ("", "empty"),
        (secret, "secret"),
        (&secret.to_ascii_lowercase(), "secret"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKhunter2", "SSH"),
        (&mistyped, "mistyped"),
        (&RECIPIENT[..61], "length"),
        (&long, "length"),
        (&post_quantum, "another kind"),
        ("hunter2", "age1"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "age1"),
        ("age1\u{1b}[2J", "length"),
    ] {
        let error = AgeRecipient::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(text.is_empty() || !error.contains(text), "{error}");
    }
}

#[test]
fn a_file_may_hold_several_identities_and_comments() {
    let other = to_bech32(&[7; 32], "age-secret-key-")
        .unwrap()
        .to_ascii_uppercase();
    let both = read(&format!("{IDENTITY}\r\n\n# old\n{other}\r\n")).unwrap();
    let recipients: Vec<_> = both
        .iter()
        .map(|identity| identity.recipient().clone())
        .collect();
    assert_eq!(
        recipients,
        [
            identity().recipient().clone(),
            other_identity().recipient().clone()
        ]
    );
}

#[test]
fn what_is_no_identity_is_refused_with_the_reason_and_without_its_text() {
    let secret = IDENTITY.lines().last().unwrap();
    for (text, reason) in [
        ("", "no identity"),
        ("# a comment alone\n", "no identity"),
        (RECIPIENT, "recipient"),
        (&secret[..secret.len() - 1], "cut"),
        (&secret.replace("1HAV5", "1HAV6"), "mistyped"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQQQ", "plugin"),
        ("AGE-SECRET-KEY-PQ-1QQQQQQ", "another kind"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2", "SSH"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\nhunter2", "age -d"),
        ("age-encryption.org/v1\n-> scrypt hunter2 18", "age -d"),
        ("hunter2", "neither"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(
            !error.contains("hunter2") && !error.contains("HAV5"),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn every_wrapped_key_is_unwrapped(master: [u8; 32], secret: [u8; 32]) {
        let identity = read(&to_bech32(&secret, "age-secret-key-").unwrap().to_ascii_uppercase()).unwrap().remove(0);
        let recipient = AgeRecipient::parse(&identity.recipient().to_string()).unwrap();
        let file = recipient.wrap(&MasterKey::new(master)).unwrap();
        let opened = identity.unwrap(&file).unwrap();
        prop_assert_eq!(opened.expose(), &master);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text: String) {
        let _ = identity().unwrap(&bytes);
        let _ = AgeRecipient::parse(&text);
        let _ = read(&text);
    }
}
