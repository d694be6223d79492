"""A small CLIP whose texts are made to lie where the images of known groups lie."""

import torch

SIZES = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
D = 10


def save_clip(folder, terms, groups, *, tokens=20):
    """Save a CLIP in which the text of each term has the mean embedding of a group of images, its length aside.

    groups      a list of uint8 RGB images for every term
    """
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    from mep.methods.bases._tokenizer import build_tokenizer

    torch.manual_seed(0)
    tokenizer = build_tokenizer(tokens)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = CLIPTextConfig(vocab_size=len(tokenizer), max_position_embeddings=tokens, **ends, **SIZES)
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **SIZES)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=D)).eval()
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    with torch.no_grad():
        wanted = torch.stack([_mean_of(model, processor, images) for images in groups])
        pooled = model.text_model(**tokenizer(terms, padding=True, return_tensors="pt")).pooler_output
        model.text_projection.weight.copy_(torch.linalg.lstsq(pooled, wanted).solution.T)  # fewer terms than widths
    for part in (model, processor, tokenizer):
        part.save_pretrained(folder)
    return folder


def _mean_of(model, processor, images):
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    features = model.visual_projection(model.vision_model(pixels).pooler_output)
    return (features / features.norm(dim=-1, keepdim=True)).mean(0)
