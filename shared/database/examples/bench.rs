//! Scratch.
use holdfast_database::*;
use holdfast_domain::{Secret, settings::*};
use mongodb::bson::{Document, doc};
use std::time::Instant;
fn usage() -> (f64, u64) {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    let t: f64 = (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0;
    let st = std::fs::read_to_string("/proc/self/status").unwrap();
    let hwm = st.lines().find(|l| l.starts_with("VmHWM")).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    (t, hwm)
}
#[tokio::main]
async fn main() {
    let mode = std::env::args().nth(1).unwrap();
    let uri = "mongodb://127.0.0.1:27117/hf_bench?directConnection=true";
    let conn = Connection::open(&Secret::new(uri), ReadPreference::Primary, "bench").await.unwrap();
    let db = conn.client().database("hf_bench");
    if mode == "fill" {
        db.drop().await.unwrap();
        for k in 0..4 {
            let c = db.collection::<Document>(&format!("big{k}"));
            for chunk in 0..41 {
                let docs: Vec<Document> = (0..2000).map(|i| doc!{"n": chunk*2000+i, "s": "x".repeat(300), "t": {"a": 1, "b": "yyyyyyyy", "c": [1,2,3]}}).collect();
                c.insert_many(docs).await.unwrap();
            }
        }
        let c = db.collection::<Document>("fat");
        return;
    }
    if mode == "fat" {
        let c = db.collection::<Document>("fat");
        for i in 0..60 {
            c.insert_one(doc! {"_id": i, "s": "x".repeat(1000*1000)}).await.unwrap();
            for _ in 0..20 {
                c.insert_one(doc! {"s": "x".repeat(1000)}).await.unwrap();
            }
        }
        return;
    }
    if mode == "drop" {
        db.drop().await.unwrap();
        return;
    }
    let before = usage();
    let t = Instant::now();
    let plan = plan(&conn, &DumpSelection { collections: CollectionFilter::All, exclude: vec![] }, 4).await.unwrap();
    let planned = t.elapsed();
    let (_, report) = dump(&conn, plan, 4, std::io::sink(), std::future::pending()).await.unwrap();
    let after = usage();
    println!(
        "plan {planned:?} all {:?} cpu {:.2} hwm {} -> {} KB; {} docs {} bytes",
        t.elapsed(),
        after.0 - before.0,
        before.1,
        after.1,
        report.documents(),
        report.bytes()
    );
}
