"""The `ocr` engine: printed text and its boxes on a CPU, with the networks of PP-OCRv6."""
