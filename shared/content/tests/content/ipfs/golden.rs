//! CARs from a real gateway. `golden/README.md` describes their origin.

use std::{cell::RefCell, fs, path::PathBuf};

use holdfast_content::ipfs::{CarWriter, IpfsPath};

use super::{
    cars,
    run::{path, walk},
};

struct Golden {
    car: &'static str,
    cid: &'static str,
    names: &'static [&'static str],
    size: usize,
    /// Beginning of the bytes. Without a seed, zeros.
    seed: Option<u64>,
}

const fn file(car: &'static str, cid: &'static str, size: usize, seed: u64) -> Golden {
    Golden {
        car,
        cid,
        names: &[],
        size,
        seed: Some(seed),
    }
}

const fn within(mut golden: Golden, names: &'static [&'static str]) -> Golden {
    golden.names = names;
    golden
}

const GOLDEN: [Golden; 16] = [
    file(
        "empty-v0",
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
        0,
        0,
    ),
    file(
        "empty-v1",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        0,
        0,
    ),
    file(
        "one-block-v0",
        "QmVdfcDbTTMcdU3axCnxTjemWNVdQk42w8GYwsUp6ZZ3of",
        300,
        1,
    ),
    file(
        "one-block-v1",
        "bafkreibx7agucsxjbztk4yihgeeg7ix34iluebjekzc5vabg33376o3u5y",
        300,
        1,
    ),
    file(
        "levels-v0",
        "QmPW6LKyHFXcs9fRz8y3X1gDaJKvEG6Hy8uuTLAxv46Lmh",
        9000,
        2,
    ),
    file(
        "levels-v1",
        "bafybeibdrpnpamluqapbmgp77tsuptcbcd6xadu5b4t3vg25jde2jc6xfq",
        9000,
        2,
    ),
    file(
        "leaves-v0",
        "QmTQ5FEgUaLohvj5xUusGfibqTPS3aWp8JgzvJVQfhSEXR",
        20_000,
        3,
    ),
    file(
        "leaves-v1",
        "bafybeicoelq3rkfuq6hpxkfq2kdplptzg5qrjottzwrvj4lgnox6dqlllm",
        20_000,
        3,
    ),
    file(
        "trickle",
        "bafybeieouokows3grakr3k7yobkcq7pehivoqatkvxv6v272mhnps4gglu",
        9000,
        4,
    ),
    file(
        "inline",
        "bafybeih6bd2zm6c4fhdxei7czr33irswgi5sw34iddrceesotkni4bikjq",
        4100,
        5,
    ),
    file(
        "blake3",
        "bafyb4ieay6wjkn6tnqssdvd2uktnwwliradiopodclsn4lzirvgplc5o4i",
        5000,
        6,
    ),
    file(
        "modified",
        "bafybeif46bqihvenpnikldwdrcdxk4lfky73o66vyzpgcjspzr7ld6cz6y",
        5000,
        6,
    ),
    Golden {
        car: "zeros",
        cid: "bafybeidv4tmrxx35qhpllvjofunlqqnckuki47mb46vqm2cxnnf445xhbe",
        names: &[],
        size: 20_000,
        seed: None,
    },
    within(
        file(
            "shards-of-8",
            "QmVDM3sEEn5oD1aeNGkDNBPDoapJH9jWVsUfd64PtQQG5e",
            37,
            1037,
        ),
        &["file-037.txt"],
    ),
    within(
        file(
            "shards-of-256",
            "QmR43fsbuQ3C9QGZqVSYx9cvM7CC9dvYT1WCGLyYMpFsNQ",
            213,
            1213,
        ),
        &["file-213.txt"],
    ),
    within(
        file(
            "path",
            "QmcFuW383KAY891JVXBAdJwp1JXAe1cJBNdFs3BRMd7jNV",
            9000,
            2,
        ),
        &["inner", "a", "ä b.bin"],
    ),
];

impl Golden {
    fn car(&self) -> Vec<u8> {
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        fs::read(golden.join(format!("{}.car", self.car))).unwrap()
    }

    fn path(&self) -> IpfsPath {
        path(self.cid.parse().unwrap(), self.names)
    }

    /// The high bytes of Knuth's linear congruence.
    fn content(&self) -> Vec<u8> {
        let Some(mut state) = self.seed else {
            return vec![0; self.size];
        };
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..self.size).map(|_| next()).collect()
    }
}

#[test]
fn a_real_car_walks_to_its_file_in_the_order_it_comes() {
    for golden in GOLDEN {
        let blocks = cars::read(&golden.car(), &[1000, 1, 77]).unwrap();
        let (file, walked) =
            walk(&golden.path(), &blocks).unwrap_or_else(|error| panic!("{}: {error}", golden.car));
        assert!(file == golden.content(), "{}: other bytes", golden.car);
        assert_eq!(
            walked.record.blocks(),
            blocks.len() as u64,
            "{}: a block more or less",
            golden.car
        );
    }
}

#[test]
fn a_real_car_comes_again_from_its_file_byte_for_byte() {
    for golden in GOLDEN {
        let blocks = cars::read(&golden.car(), &[4096]).unwrap();
        let (file, walked) = walk(&golden.path(), &blocks).unwrap();
        let writer =
            RefCell::new(CarWriter::new(Vec::new(), &[*walked.record.file_cid()]).unwrap());
        walked
            .record
            .rebuild(&file[..], |cid, block| {
                writer.borrow_mut().block(cid, block)
            })
            .unwrap();
        let car = writer.into_inner().finish().unwrap();
        assert!(car == golden.car(), "{}: another CAR", golden.car);
    }
}

#[test]
fn any_cut_of_a_real_car_is_noticed() {
    for golden in GOLDEN
        .iter()
        .filter(|golden| ["levels-v0", "inline", "path"].contains(&golden.car))
    {
        let car = golden.car();
        for length in (0..car.len()).step_by(7) {
            let whole = cars::read(&car[..length], &[8192])
                .is_ok_and(|blocks| walk(&golden.path(), &blocks).is_ok());
            assert!(!whole, "{} of {length} bytes", golden.car);
        }
    }
}

#[test]
fn any_flipped_byte_of_a_real_block_is_noticed() {
    for golden in GOLDEN
        .iter()
        .filter(|golden| ["levels-v1", "trickle", "shards-of-8"].contains(&golden.car))
    {
        let car = golden.car();
        let blocks = cars::read(&car, &[8192]).unwrap();
        for number in 0..blocks.len() {
            for at in (0..blocks[number].1.len()).step_by(13) {
                let mut blocks = blocks.clone();
                blocks[number].1[at] ^= 0x10;
                assert!(
                    walk(&golden.path(), &blocks).is_err(),
                    "{} block {number} byte {at}",
                    golden.car
                );
            }
        }
    }
}
