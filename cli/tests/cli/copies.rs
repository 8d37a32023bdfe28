//! The second copy on the command line: created, checked, repaired, and restored from when
//! everything else is lost.

use aws_sdk_s3::{
    Client,
    config::{Builder, Region},
    primitives::ByteStream,
    types::{BucketLocationConstraint, CreateBucketConfiguration},
};

use super::place::Place;

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const PREFIX: &str = "copies/eu";
pub(crate) const REGION: &str = "eu-central-1";

/// An empty bucket in [`REGION`], and its client.
pub(crate) async fn bucket_in_another_region() -> (Client, String) {
    let bucket = holdfast_testing::unique("second");
    let config = Builder::from(&holdfast_testing::aws_config())
        .region(Region::new(REGION))
        .force_path_style(true);
    let s3 = Client::from_conf(config.build());
    let place = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::from(REGION));
    s3.create_bucket()
        .bucket(&bucket)
        .create_bucket_configuration(place.build())
        .send()
        .await
        .unwrap();
    (s3, bucket)
}

/// A place with an empty second bucket in another region.
struct Copies {
    place: Place,
    bucket: String,
    s3: Client,
}

impl Copies {
    async fn new(settings: &[(&'static str, &str)]) -> Self {
        let mut place = Place::new().await;
        let (s3, bucket) = bucket_in_another_region().await;
        place
            .env
            .insert("BACKUP_CLOUD_BUCKET", format!("{bucket}/{PREFIX}"));
        place.env.insert("BACKUP_CLOUD_REGION", REGION.to_owned());
        place.env.extend(
            settings
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        place.holdfast(&["init"]).expect(0);
        Self { place, bucket, s3 }
    }

    fn store(&self) -> String {
        format!("s3://{}/{PREFIX}", self.bucket)
    }

    async fn keys(&self) -> Vec<String> {
        let listed = self
            .s3
            .list_objects_v2()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
        listed
            .contents()
            .iter()
            .map(|object| object.key().unwrap().to_owned())
            .collect()
    }

    /// Flips a bit of the copied dump. Returns the key without the prefix.
    async fn corrupt_the_dump(&self) -> String {
        let s3 = &self.s3;
        let key = self
            .keys()
            .await
            .into_iter()
            .find(|key| key.contains("/dump."))
            .unwrap();
        let object = s3
            .get_object()
            .bucket(&self.bucket)
            .key(&key)
            .send()
            .await
            .unwrap();
        let mut bytes = object.body.collect().await.unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        s3.put_object()
            .bucket(&self.bucket)
            .key(&key)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .unwrap();
        key.trim_start_matches(&format!("{PREFIX}/")).to_owned()
    }

    async fn remove(self) {
        let s3 = &self.s3;
        for key in self.keys().await {
            s3.delete_object()
                .bucket(&self.bucket)
                .key(key)
                .send()
                .await
                .unwrap();
        }
        s3.delete_bucket()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
        self.place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_by_hand_and_recorded_in_its_job() {
    let copies = Copies::new(&[]).await;
    let place = &copies.place;
    let (first, next) = (place.back_up(), place.back_up());
    let reported = place.holdfast(&["copy", &first]).expect(0).text();
    assert!(
        reported.contains(&first)
            && reported.contains(&copies.store())
            && reported.contains("3 objects sent"),
        "{reported}"
    );
    let shown = place.holdfast(&["show", &first]).expect(0).text();
    assert!(
        shown.contains("copy") && shown.contains("completed in s3://"),
        "{shown}"
    );
    let documents = place.json(&["copy", "--all"]);
    assert_eq!(documents.len(), 2);
    for (document, (id, sent)) in documents.iter().zip([(&next, 3), (&first, 0)]) {
        assert_eq!(document["backupId"], id.as_str());
        assert_eq!(
            (document["copied"].as_u64(), document["recorded"].as_bool()),
            (Some(sent), Some(true))
        );
    }
    let listed = place.json(&["list", "--store", &copies.store()]);
    assert_eq!(listed, place.json(&["list"]));
    let job = &place.json(&["show", &first])[0]["job"];
    assert_eq!(
        (job["status"].as_str(), job["copy"]["status"].as_str()),
        (Some("completed"), Some("completed"))
    );
    copies.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_copy_is_named_by_verify_and_mended_by_repair() {
    let copies = Copies::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    let place = &copies.place;
    let id = place.back_up();
    place.holdfast(&["copy", &id]).expect(0);
    place.holdfast(&["verify", &id]).expect(0);
    let dump = copies.corrupt_the_dump().await;
    let found = place
        .holdfast(&["verify", &id, "--store", &copies.store()])
        .expect(6)
        .text();
    assert!(found.contains("FAILED") && found.contains(&dump), "{found}");
    assert!(found.contains("not recorded"), "{found}");
    let job = &place.json(&["show", &id])[0]["job"];
    assert_eq!(
        job["verification"]["status"], "passed",
        "what is wrong with the copy is not wrong with the backup"
    );
    // A copy with all objects of the right size is skipped, unless it must be read.
    place.holdfast(&["copy", &id]).expect(0);
    place
        .holdfast(&["verify", &id, "--store", &copies.store()])
        .expect(6);
    let mended = place.holdfast(&["copy", &id, "--repair"]).expect(0).text();
    assert!(
        mended.contains("mended") && mended.contains(&dump),
        "{mended}"
    );
    place
        .holdfast(&[
            "verify",
            &id,
            "--store",
            &copies.store(),
            "--level",
            "structure",
        ])
        .expect(0);
    copies.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_restored_from_the_copy_when_bucket_and_catalogue_are_gone() {
    let mut copies = Copies::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    let id = copies.place.back_up();
    copies.place.holdfast(&["copy", &id]).expect(0);
    let s3 = holdfast_testing::s3_client();
    for key in copies.place.keys().await {
        s3.delete_object()
            .bucket(&copies.place.bucket)
            .key(format!("repository/{key}"))
            .send()
            .await
            .unwrap();
    }
    copies.place.lose_the_catalogue().await;
    copies.place.env.insert(
        "BACKUP_CATALOG_URI",
        "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=300".to_owned(),
    );
    let store = copies.store();
    assert_eq!(
        copies.place.json(&["list", "--store", &store])[0]["backupId"],
        id.as_str()
    );
    copies
        .place
        .holdfast(&["verify", &id, "--store", &store, "--level", "structure"])
        .expect(0);
    let target = holdfast_testing::unique("copy");
    let (from, to) = (
        format!("{}.*", copies.place.database),
        format!("{target}.*"),
    );
    let words = [
        "restore",
        "database",
        &id,
        "--store",
        &store,
        "--ns-from",
        &from,
        "--ns-to",
        &to,
        "--yes",
    ];
    copies.place.holdfast(&words).expect(0);
    copies.place.assert_same_in(&target).await;
    copies.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_needs_no_catalogue_and_reports_that_its_job_lacks_it() {
    let mut copies = Copies::new(&[]).await;
    let id = copies.place.back_up();
    copies.place.env.insert(
        "BACKUP_CATALOG_URI",
        "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=300".to_owned(),
    );
    let document = &copies.place.json(&["copy", &id])[0];
    assert_eq!(
        (document["copied"].as_u64(), document["recorded"].as_bool()),
        (Some(3), Some(false))
    );
    assert!(
        document["catalogProblem"]
            .as_str()
            .unwrap()
            .contains("catalogue"),
        "{document}"
    );
    let reported = copies.place.holdfast(&["copy", &id]).expect(0).text();
    assert!(
        reported.contains("its job does not record the copy"),
        "{reported}"
    );
    copies.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_store_is_mended_by_naming_the_stores_the_other_way_round() {
    let mut copies = Copies::new(&[]).await;
    let id = copies.place.back_up();
    copies.place.holdfast(&["copy", &id]).expect(0);
    let key = copies
        .place
        .keys()
        .await
        .into_iter()
        .find(|key| key.contains("/dump."))
        .unwrap();
    let good = copies.place.object(&key).await;
    copies.place.put_object(&key, b"nonsense".to_vec()).await;
    copies.place.holdfast(&["verify", &id]).expect(6);
    let refused = copies.place.holdfast(&["copy", &id, "--repair"]);
    assert_eq!(
        refused.code, 0,
        "the copy is whole, and nothing is taken from the first store: {}",
        refused.stderr
    );
    let first = copies.place.env["BACKUP_STORE"]
        .trim_start_matches("s3://")
        .to_owned();
    copies.place.env.insert("BACKUP_CLOUD_BUCKET", first);
    copies
        .place
        .env
        .insert("BACKUP_CLOUD_REGION", "us-east-1".to_owned());
    copies.place.env.insert("AWS_REGION", REGION.to_owned());
    let words = ["copy", &id, "--repair", "--store", &copies.store()];
    let mended = copies.place.holdfast(&words).expect(0).text();
    assert!(
        mended.contains("mended") && mended.contains(&key) && mended.contains("does not record"),
        "{mended}"
    );
    assert!(copies.place.object(&key).await == good);
    let job = &copies
        .place
        .json(&["show", &id, "--store", &copies.store()])[0]["job"];
    assert!(
        job["copy"]["store"]
            .as_str()
            .unwrap()
            .contains(&copies.bucket),
        "{job}"
    );
    copies.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_refused_with_its_reason() {
    let mut copies = Copies::new(&[]).await;
    let id = copies.place.back_up();
    copies.place.holdfast(&["copy"]).expect(2);
    copies.place.holdfast(&["copy", "--all", &id]).expect(2);
    copies.place.holdfast(&["copy", "db_1_aa"]).expect(4);
    let same = copies.place.env["BACKUP_STORE"]
        .trim_start_matches("s3://")
        .to_owned();
    let second = copies
        .place
        .env
        .insert("BACKUP_CLOUD_BUCKET", same)
        .unwrap();
    copies
        .place
        .holdfast(&["copy", &id])
        .expect(3)
        .saying(&["both the first store and the second"]);
    copies
        .place
        .env
        .insert("BACKUP_CLOUD_BUCKET", holdfast_testing::unique("no-such"));
    copies
        .place
        .holdfast(&["copy", &id])
        .saying(&["the second store s3://no-such", "remedy"]);
    copies.place.env.remove("BACKUP_CLOUD_BUCKET");
    copies
        .place
        .holdfast(&["copy", &id])
        .expect(3)
        .saying(&["BACKUP_CLOUD_BUCKET is not set", "remedy"]);
    copies.place.env.insert("BACKUP_CLOUD_BUCKET", second);
    copies.remove().await;
}
