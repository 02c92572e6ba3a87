//! A Llama forward pass in plain loops over f64, in Hugging Face's layout (a rotary pair is half a head apart) and
//! without a cache: what the executors are held to on checkpoints that no other program has seen.
//!
//! Source: `modeling_llama.py` of Hugging Face transformers.

/// `[rows, cols]`, row-major; `y = W x`.
#[derive(Clone)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    pub values: Vec<f64>,
}

impl Matrix {
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.cols..(row + 1) * self.cols]
    }

    fn times(&self, x: &[f64]) -> Vec<f64> {
        assert_eq!(x.len(), self.cols);
        (0..self.rows).map(|row| dot(self.row(row), x)).collect()
    }

    /// Adds `scale · B A`, with `b` `[rows, rank]` and `a` `[rank, cols]`.
    pub fn merge(&mut self, b: &[f32], a: &[f32], rank: usize, scale: f64) {
        for row in 0..self.rows {
            for col in 0..self.cols {
                let delta: f64 = (0..rank).map(|r| b[row * rank + r] as f64 * a[r * self.cols + col] as f64).sum();
                self.values[row * self.cols + col] += scale * delta;
            }
        }
    }
}

/// One block.
#[derive(Clone)]
pub struct ReferenceLayer {
    pub attention_norm: Vec<f64>,
    pub mlp_norm: Vec<f64>,
    /// q, k, v, o, gate, up, down.
    pub linears: [Matrix; 7],
}

/// All of a decoder.
#[derive(Clone)]
pub struct ReferenceDecoder {
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub rms_norm_eps: f64,
    /// Of each rotary pair, scaling included, `[head_dim/2]`.
    pub inverse_frequencies: Vec<f64>,
    pub embedding: Matrix,
    pub layers: Vec<ReferenceLayer>,
    pub output_norm: Vec<f64>,
    pub head: Matrix,
}

impl ReferenceDecoder {
    /// Logits after every id, `[ids.len()][vocab_size]`.
    pub fn logits(&self, ids: &[u32]) -> Vec<Vec<f64>> {
        let mut x: Vec<Vec<f64>> = ids.iter().map(|&id| self.embedding.row(id as usize).to_vec()).collect();
        for layer in &self.layers {
            let [q, k, v, o, gate, up, down] = &layer.linears;
            let normed: Vec<Vec<f64>> = x.iter().map(|x| self.norm(x, &layer.attention_norm)).collect();
            let rotated = |w: &Matrix| -> Vec<Vec<f64>> {
                normed.iter().enumerate().map(|(position, x)| self.rotate(w.times(x), position)).collect()
            };
            let (queries, keys) = (rotated(q), rotated(k));
            let values: Vec<Vec<f64>> = normed.iter().map(|x| v.times(x)).collect();
            for (position, x) in x.iter_mut().enumerate() {
                add(x, &o.times(&self.attend(&queries[position], &keys[..=position], &values)));
                let normed = self.norm(x, &layer.mlp_norm);
                let inner: Vec<f64> = gate
                    .times(&normed)
                    .iter()
                    .zip(up.times(&normed))
                    .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                    .collect();
                add(x, &down.times(&inner));
            }
        }
        x.iter().map(|x| self.head.times(&self.norm(x, &self.output_norm))).collect()
    }

    fn norm(&self, x: &[f64], weight: &[f64]) -> Vec<f64> {
        let rms = (dot(x, x) / x.len() as f64 + self.rms_norm_eps).sqrt();
        x.iter().zip(weight).map(|(x, w)| x / rms * w).collect()
    }

    fn rotate(&self, mut x: Vec<f64>, position: usize) -> Vec<f64> {
        let half = self.head_dim / 2;
        for head in x.chunks_exact_mut(self.head_dim) {
            for i in 0..half {
                let (sin, cos) = (position as f64 * self.inverse_frequencies[i]).sin_cos();
                let (a, b) = (head[i], head[i + half]);
                head[i] = a * cos - b * sin;
                head[i + half] = b * cos + a * sin;
            }
        }
        x
    }

    fn attend(&self, query: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<f64> {
        let group = self.num_attention_heads / self.num_key_value_heads;
        let mut out = Vec::new();
        for (head, query) in query.chunks_exact(self.head_dim).enumerate() {
            let lanes = head / group * self.head_dim..(head / group + 1) * self.head_dim;
            let scores: Vec<f64> = keys
                .iter()
                .map(|key| (dot(query, &key[lanes.clone()]) / (self.head_dim as f64).sqrt()).exp())
                .collect();
            let sum: f64 = scores.iter().sum();
            for lane in lanes {
                out.push(scores.iter().zip(values).map(|(score, value)| score / sum * value[lane]).sum());
            }
        }
        out
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(x: &mut [f64], delta: &[f64]) {
    for (x, delta) in x.iter_mut().zip(delta) {
        *x += delta;
    }
}
