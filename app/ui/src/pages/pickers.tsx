/** Choosing an agent, a number or a campaign: the options of a select. */
import { graphql } from '@/api/graphql'
import { useReading } from '@/api/hooks'

const AGENTS = graphql(`
  query AgentOptions {
    agents(limit: 200) {
      nodes {
        id
        name
        isActive
      }
    }
  }
`)
const NUMBERS = graphql(`
  query NumberOptions {
    phoneNumbers(limit: 200) {
      nodes {
        id
        name
        phoneNumber
        isActive
      }
    }
  }
`)
const CAMPAIGNS = graphql(`
  query CampaignOptions {
    campaigns(limit: 200) {
      nodes {
        id
        name
      }
    }
  }
`)

export function useAgents() {
  return useReading(AGENTS, {}, { types: ['Agent'] }).data?.agents.nodes ?? []
}

export function useNumbers() {
  return useReading(NUMBERS, {}, { types: ['PhoneNumber'] }).data?.phoneNumbers.nodes ?? []
}

export function useCampaigns() {
  return useReading(CAMPAIGNS, {}, { types: ['Campaign'] }).data?.campaigns.nodes ?? []
}

/** Those that can be used now. */
export function AgentOptions() {
  return useAgents()
    .filter((agent) => agent.isActive)
    .map((agent) => (
      <option key={agent.id} value={agent.id}>
        {agent.name}
      </option>
    ))
}

export function NumberOptions() {
  return useNumbers()
    .filter((number) => number.isActive)
    .map((number) => (
      <option key={number.id} value={number.id}>
        {number.phoneNumber} · {number.name}
      </option>
    ))
}
