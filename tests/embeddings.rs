//! The CPU encoder against PyTorch in fp32 over the original MiniLM.

use lectern_model::encoder::{Encoder, EncoderWeights};
use lectern_model::{Gguf, Precision};

use crate::support::{block_on, embedder_gguf, floats, golden, ids, largest_difference};

fn encoder() -> Encoder {
    Encoder::new(EncoderWeights::from_gguf(&mut Gguf::parse(embedder_gguf()).unwrap()).unwrap())
}

/// Holds embeddings to the reference's cosine, each text alone, and returns ids and vectors.
fn check(texts: &str) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
    check_at(Precision::Exact, 0.9995, texts)
}

fn check_at(precision: Precision, at_least: f32, texts: &str) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
    let mut encoder = encoder();
    encoder.set_precision(precision);
    let mut lowest = 1f32;
    let golden = golden("embeddings");
    let embedded = golden[texts].as_array().expect("a list of texts").iter().map(|text| {
        let ids = ids(&text["ids"]);
        let vector = block_on(encoder.embed(std::slice::from_ref(&ids), &())).unwrap().remove(0);
        let cosine = cosine(&vector, &floats(&text["embedding"]));
        assert!(cosine >= at_least, "cosine {cosine} for {ids:?}");
        assert!((vector.iter().map(|v| v * v).sum::<f32>().sqrt() - 1.0).abs() < 1e-5, "not of unit length");
        lowest = lowest.min(cosine);
        (ids, vector)
    });
    let embedded = embedded.unzip();
    println!("{texts}, {precision:?}: lowest cosine {lowest:.6}");
    embedded
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a * b) as f64).sum::<f64>();
    (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()) as f32
}

#[test]
fn sentences_point_where_the_reference_points_and_batches_change_nothing() {
    let (ids, alone) = check("sentences");
    // Lengths from 9 to some 20 tokens in one batch, in both orders.
    let mut encoder = encoder();
    let together = block_on(encoder.embed(&ids, &())).unwrap();
    let reversed: Vec<Vec<u32>> = ids.iter().rev().cloned().collect();
    let backwards = block_on(encoder.embed(&reversed, &())).unwrap();
    for (i, vector) in alone.iter().enumerate() {
        assert!(largest_difference(vector, &together[i]) <= 1e-5, "sentence {i} in a batch");
        assert!(largest_difference(vector, &backwards[ids.len() - 1 - i]) <= 1e-5, "sentence {i} in a reversed batch");
    }
}

#[test]
fn fast_embeddings_point_where_the_reference_points() {
    check_at(Precision::Fast, 0.999, "sentences");
    check_at(Precision::Fast, 0.999, "passages");
}

#[test]
fn passages_of_128_tokens_point_where_the_reference_points() {
    let (ids, _) = check("passages");
    assert_eq!(ids.len(), 32);
}
