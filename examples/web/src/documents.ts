// Every operation of the example. `npm run codegen` makes types of them.
import { graphql } from './gql';

export const CREATE = graphql(`
  mutation CreateSipTrunk($input: CreateSipTrunkInput!) {
    createSipTrunk(input: $input) {
      message
      sipTrunk { id }
      userErrors { code field message retryable retryAfter }
      warnings { code field message }
    }
  }
`);

export const VALIDATE = graphql(`
  mutation ValidateSipTrunk($input: CreateSipTrunkInput!) {
    validateSipTrunk(input: $input) {
      message
      userErrors { code field message retryable retryAfter }
      warnings { code field message }
    }
  }
`);

export const TRUNKS = graphql(`
  query SipTrunks {
    sipTrunks(first: 50, orderBy: { by: CREATED_AT, direction: DESC }) {
      nodes { id phoneNumber nickname status inboundTrunkId outboundTrunkId }
    }
  }
`);

export const CHANGES = graphql(`
  subscription SipTrunkChanged {
    sipTrunkChanged { kind id sipTrunk { id phoneNumber nickname status inboundTrunkId outboundTrunkId } }
  }
`);

export const DIAL_PREVIEW = graphql(`
  query DialPreview($input: DialPreviewInput!) {
    dialPreview(input: $input) { requestUri toUser fromUser problem }
  }
`);

export const PROVIDERS = graphql(`
  query Providers {
    providers { key name kind }
  }
`);
