//! The bucket on the local AWS: after a failed creation, after the deletion of its stack, and under
//! another stack.

use std::time::Duration;

use holdfast_testing::{s3_client, stack, unique};
use serde_json::json;

use super::CLOUDFORMATION;
use crate::stage::{Aws, Deployment, element, fill_from_golden, until};

const IAM: &str = "2010-05-08";
/// This resource cannot be created. The creation of the stack fails there, after everything else.
const NEVER_READY: &str = "
  NeverReady:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: [DatabaseBackupSchedule, BackupBucket]
    Properties: { Handle: !Ref SchedulesMayStart, Timeout: '1', Count: 1 }

Outputs:
";

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_creation_leaves_no_bucket() {
    let (aws, name) = (Aws::new(), unique("failing"));
    let s3 = s3_client();
    let key = format!("{name}.yaml");
    let (bucket, deployed) = place_of(&stack().template);
    let deployed = s3
        .get_object()
        .bucket(bucket)
        .key(deployed)
        .send()
        .await
        .unwrap();
    let template = deployed.body.collect().await.unwrap().to_vec();
    let template = String::from_utf8(template).unwrap();
    let template = template.replacen("\nOutputs:\n", NEVER_READY, 1);
    let put = s3.put_object().bucket(bucket).key(&key);
    put.body(template.into_bytes().into()).send().await.unwrap();
    let url = format!("{}/{bucket}/{key}", stack().aws_endpoint);
    let mut fields = vec![
        ("StackName".to_owned(), name.clone()),
        ("TemplateURL".to_owned(), url),
        (
            "Capabilities.member.1".to_owned(),
            "CAPABILITY_IAM".to_owned(),
        ),
        (
            "Capabilities.member.2".to_owned(),
            "CAPABILITY_AUTO_EXPAND".to_owned(),
        ),
    ];
    for (number, (parameter, value)) in (1..).zip(&stack().parameters) {
        fields.push((
            format!("Parameters.member.{number}.ParameterKey"),
            parameter.clone(),
        ));
        fields.push((
            format!("Parameters.member.{number}.ParameterValue"),
            value.clone(),
        ));
    }
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    aws.query("cloudformation", CLOUDFORMATION, "CreateStack", &fields)
        .await;
    let named = [("StackName", name.as_str())];
    until("the rollback", Duration::from_mins(1), || async {
        let told = aws
            .query("cloudformation", CLOUDFORMATION, "DescribeStacks", &named)
            .await;
        (element(&told, "StackStatus") == "ROLLBACK_COMPLETE").then_some(())
    })
    .await;
    let events = aws
        .query(
            "cloudformation",
            CLOUDFORMATION,
            "DescribeStackEvents",
            &named,
        )
        .await;
    assert!(
        events.contains("BackupBucket"),
        "the bucket was created first: {events}"
    );
    let buckets = s3.list_buckets().send().await.unwrap();
    let left = buckets.buckets().iter().filter_map(|bucket| bucket.name());
    assert_eq!(left.filter(|bucket| bucket.starts_with(&name)).count(), 0);
    aws.query("cloudformation", CLOUDFORMATION, "DeleteStack", &named)
        .await;
    s3.delete_object()
        .bucket(bucket)
        .key(&key)
        .send()
        .await
        .unwrap();
}

/// Bucket and key in an address of the local AWS.
fn place_of(address: &str) -> (&str, &str) {
    let mut parts = address.rsplitn(3, '/');
    let (key, bucket) = (parts.next().unwrap(), parts.next().unwrap());
    (bucket, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stack_continues_in_the_bucket_of_a_deleted_stack() {
    let first = Deployment::named("first-stack").deploy().await;
    fill_from_golden(&first.source).await;
    let old = first.api.back_up().await["backupId"]
        .as_str()
        .unwrap()
        .to_owned();
    let bucket = first.delete_but_its_bucket().await;
    let s3 = s3_client();
    let policy = s3.get_bucket_policy().bucket(&bucket).send().await.unwrap();
    assert!(
        policy.policy().unwrap().contains("VersionsStay"),
        "{policy:?}"
    );

    let second = Deployment::named("second-stack")
        .with("ExistingBucketName", &bucket)
        .deploy()
        .await;
    assert_eq!(second.bucket, bucket, "the output names it");
    second.operator(&["init"]).await.expect(0);
    second.operator(&["catalog", "rebuild"]).await.expect(0);
    second
        .operator(&["verify", &old, "--level", "structure"])
        .await
        .expect(0);
    fill_from_golden(&second.source).await;
    let new = second.api.back_up().await["backupId"]
        .as_str()
        .unwrap()
        .to_owned();
    let listed = second.operator(&["list"]).await.expect(0).text();
    assert!(listed.contains(&old) && listed.contains(&new), "{listed}");
    second.finish(&new).await;
}

#[tokio::test]
async fn an_administrator_cannot_remove_a_version_of_the_deployed_bucket() {
    let (aws, user, bucket) = (Aws::new(), unique("administrator"), &stack().bucket);
    let named = ("UserName", user.as_str());
    aws.query("iam", IAM, "CreateUser", &[named]).await;
    let everything = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let everything = everything.to_string();
    let policy = [
        named,
        ("PolicyName", "everything"),
        ("PolicyDocument", &everything),
    ];
    aws.query("iam", IAM, "PutUserPolicy", &policy).await;
    let key = aws.query("iam", IAM, "CreateAccessKey", &[named]).await;
    let (id, secret) = (
        element(&key, "AccessKeyId"),
        element(&key, "SecretAccessKey"),
    );
    let credentials = aws_sdk_s3::config::Credentials::new(&id, secret, None, None, "test");
    let config = s3_client()
        .config()
        .to_builder()
        .credentials_provider(credentials);
    let s3 = aws_sdk_s3::Client::from_conf(config.build());
    let object = unique("exports/of-an-administrator");
    let put = s3
        .put_object()
        .bucket(bucket)
        .key(&object)
        .send()
        .await
        .unwrap();
    s3.delete_object()
        .bucket(bucket)
        .key(&object)
        .send()
        .await
        .unwrap();
    let removal = s3
        .delete_object()
        .bucket(bucket)
        .key(&object)
        .version_id(put.version_id().unwrap());
    let refused = removal.send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("AccessDenied"), "{refused:?}");
    for (action, fields) in [
        (
            "DeleteUserPolicy",
            vec![named, ("PolicyName", "everything")],
        ),
        ("DeleteAccessKey", vec![named, ("AccessKeyId", id.as_str())]),
        ("DeleteUser", vec![named]),
    ] {
        aws.query("iam", IAM, action, &fields).await;
    }
}
